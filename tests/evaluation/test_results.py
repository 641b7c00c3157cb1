"""Files of results: writing, reading, older schemas and means."""

import csv
import json
import math
import resource
from pathlib import Path
from typing import Any

import pytest
from support import code, forked

from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.results import SCHEMA, read_results, results_content, write_csv, write_json
from upnet.metrics import EvaluationProtocol, Score


@pytest.fixture
def content() -> dict[str, Any]:
    tally = DatasetScores("Set5", "a" * 64, "files")
    tally.add("baby", Score(38.1234567, 0.97, perceptual={"lpips": 0.1}), Score(37.0, 0.96, perceptual={"lpips": 0.2}))
    tally.add("bird", Score(math.inf, 1.0, perceptual={"lpips": 0.0}), Score(36.0, 0.95, perceptual={"lpips": 0.3}))
    extra = {
        "method": {"kind": "network", "name": "first"},
        "measures": {"lpips": {"weights": "some.pth"}},
        "device": "cpu",
        "tile": "auto",
        "versions": {"upnet": "1", "revision": "abc", "torch": "2"},
    }
    return results_content([tally], EvaluationProtocol(channel="rgb").describe(2, "x8"), extra)


def test_written_results_are_read_back(content: dict[str, Any], tmp_path: Path) -> None:
    write_json(content, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == content
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_results_contain_protocol_scores_and_remarks(content: dict[str, Any]) -> None:
    assert content["schema"] == SCHEMA
    assert (content["protocol"]["channel"], content["protocol"]["ensemble"]) == ("rgb", "x8")
    dataset = content["datasets"]["Set5"]
    assert (dataset["psnr"], dataset["lpips"], dataset["lr_from"]) == (69.061728, 0.05, "files")
    assert dataset["images"]["bird"] == {
        "psnr": "inf",
        "ssim": 1.0,
        "lpips": 0.0,
        "baseline": {"psnr": 36.0, "ssim": 0.95, "lpips": 0.3},
    }
    assert (dataset["left_out"], dataset["exact"]) == ([], ["bird"])
    assert dataset["remark"] == "Counted as 100 dB, because the output equals the target: bird."


def test_every_csv_row_contains_protocol_and_versions(content: dict[str, Any], tmp_path: Path) -> None:
    write_csv(content, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["baby", "bird"]
    for row in rows:
        assert (row["method"], row["dataset"], row["baseline"]) == ("first", "Set5", "bicubic")
        assert (row["protocol"], row["channel"], row["crop"], row["scale"]) == ("rgb8", "rgb", "2", "2")
        assert (row["ensemble"], row["lpips_weights"], row["device"], row["torch"]) == ("x8", "some.pth", "cpu", "2")
        assert (row["pictures"], row["lr_from"]) == ("a" * 64, "files")
        assert "imresize" in row["resizing"]
    assert [row["in_means"] for row in rows] == ["yes", "yes"]
    assert (float(rows[0]["psnr"]), rows[1]["psnr"], float(rows[1]["baseline_lpips"])) == (38.123457, "inf", 0.3)


def test_results_of_schema_1_are_migrated(content: dict[str, Any], tmp_path: Path) -> None:
    old = json.loads(json.dumps(content))
    for key in ("method", "measures", "device", "tile"):
        del old[key]
    del old["protocol"]["ensemble"], old["datasets"]["Set5"]["lr_from"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**old, "schema": 1}))
    read = read_results(path)
    assert read["schema"] == SCHEMA
    assert read["protocol"] == {**content["protocol"], "ensemble": "none"}
    assert read["method"]["kind"] == "network"
    assert (read["measures"], read["device"], read["datasets"]["Set5"]["lr_from"]) == ({}, None, None)


def scored(**images: tuple[float, float]) -> DatasetScores:
    """A data set with the PSNR of a network and of bicubic by image name; SSIM is PSNR / 100."""
    tally = DatasetScores("set", "a" * 64, "files")
    for name, (network, baseline) in images.items():
        tally.add(name, *(Score(psnr, min(psnr, 100.0) / 100) for psnr in (network, baseline)))
    return tally


def test_means_are_over_the_same_images_and_excluded_images_are_listed() -> None:
    dataset = scored(black=(65.0, math.inf), one=(32.0, 31.0), two=(30.0, 29.5)).to_dict()
    assert (dataset["psnr"], dataset["baseline"]["psnr"]) == (31.0, 30.25)
    assert (dataset["ssim"], dataset["baseline"]["ssim"]) == (0.31, 0.3025)
    assert (dataset["left_out"], dataset["exact"]) == (["black"], [])
    assert dataset["remark"] == "Left out of the means, because bicubic equals the target: black."


def test_counted_images_do_not_depend_on_the_network() -> None:
    """Otherwise means of several networks, or of one network at several steps, would be over different images."""
    means = []
    for psnr in (45.0, 65.0, math.inf):
        tally = scored(black=(psnr, math.inf), exact=(psnr, 40.0), one=(32.0, 31.0))
        assert tally.counted_images == ["exact", "one"]
        means.append(tally.means())
    assert [baseline.psnr for _, baseline in means] == [35.5] * 3
    assert [network.psnr for network, _ in means] == [38.5, 48.5, 66.0]


def test_all_images_count_where_bicubic_is_exact_in_every_image() -> None:
    tally = scored(black=(60.0, math.inf), white=(math.inf, math.inf))
    network, baseline = tally.means()
    assert (network.psnr, baseline.psnr) == (80.0, 100.0)
    dataset = tally.to_dict()
    assert dataset["left_out"] == []
    assert "Bicubic equals the target in every image" in dataset["remark"]


def test_long_lists_of_images_are_shortened_in_the_remark_only() -> None:
    dataset = scored(one=(30.0, 29.0), **{f"black{number}": (60.0, math.inf) for number in range(9)}).to_dict()
    assert len(dataset["left_out"]) == 9
    assert dataset["remark"].endswith("black3, black4 and 4 more.")


def test_csv_marks_counted_images(tmp_path: Path) -> None:
    tally = scored(black=(65.0, math.inf), one=(32.0, 31.0))
    write_csv(results_content([tally], EvaluationProtocol().describe(2), {}), tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        assert [(row["image"], row["in_means"]) for row in csv.DictReader(file)] == [("black", "no"), ("one", "yes")]


def test_means_over_different_images_in_an_older_file_are_recomputed(tmp_path: Path) -> None:
    new = results_content([scored(black=(65.0, math.inf), one=(32.0, 31.0))], EvaluationProtocol().describe(2), {})
    old = json.loads(json.dumps(new))
    old["protocol"]["psnr"] = "peak 255, mean of the pictures' dB, identical pictures left out"
    dataset = old["datasets"]["set"]
    for key in ("left_out", "exact", "remark"):
        del dataset[key]
    dataset["psnr"] = 48.5  # over both images, while the mean of bicubic is over one
    path = tmp_path / "results.json"
    path.write_text(json.dumps(old))
    assert read_results(path) == new


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 3}', '{"psnr": 40}'])
def test_invalid_results_json_is_rejected(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_missing_file_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.json can't be read as results"):
        read_results(tmp_path / "nowhere.json")


def test_failed_write_keeps_the_earlier_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json({"schema": 2}, path)
    before = path.read_bytes()

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        with pytest.raises(OSError, match="File too large"):
            write_json({"much": "x" * 5000}, path)

    assert code(forked(run)) == 0
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
