"""The files that numbers are kept in."""

import csv
import json
import math
import resource
from pathlib import Path
from typing import Any

import pytest
from support import code, forked

from upnet.metrics import Protocol, Score
from upnet.results import SCHEMA, Tally, read_json, results, write_csv, write_json


@pytest.fixture
def content() -> dict[str, Any]:
    tally = Tally("Set5", "a" * 64, "files")
    tally.add("baby", Score(38.1234567, 0.97, measures={"lpips": 0.1}), Score(37.0, 0.96, measures={"lpips": 0.2}))
    tally.add("bird", Score(math.inf, 1.0, measures={"lpips": 0.0}), Score(36.0, 0.95, measures={"lpips": 0.3}))
    extra = {
        "method": {"kind": "network", "name": "first"},
        "measures": {"lpips": {"weights": "some.pth"}},
        "device": "cpu",
        "tile": "auto",
        "versions": {"upnet": "1", "revision": "abc", "torch": "2"},
    }
    return results([tally], Protocol(channel="rgb").describe(2, "x8"), extra)


def test_what_was_written_is_read_again(content: dict[str, Any], tmp_path: Path) -> None:
    write_json(content, tmp_path / "results.json")
    assert read_json(tmp_path / "results.json") == content
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_numbers_stand_beside_what_they_depend_on(content: dict[str, Any]) -> None:
    assert content["schema"] == SCHEMA
    assert (content["protocol"]["channel"], content["protocol"]["ensemble"]) == ("rgb", "x8")
    told = content["datasets"]["Set5"]
    assert (told["psnr"], told["lpips"], told["lr_from"]) == (38.123457, 0.1, "files")
    assert told["images"]["bird"] == {
        "psnr": "inf",
        "ssim": 1.0,
        "lpips": 0.0,
        "baseline": {"psnr": 36.0, "ssim": 0.95, "lpips": 0.3},
    }
    assert "1 of 2 pictures is identical" in told["remark"]


def test_every_row_of_the_csv_says_what_it_depends_on(content: dict[str, Any], tmp_path: Path) -> None:
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
    assert (float(rows[0]["psnr"]), rows[1]["psnr"], float(rows[1]["baseline_lpips"])) == (38.123457, "inf", 0.3)


def test_results_of_the_first_schema_are_read_as_what_they_were(content: dict[str, Any], tmp_path: Path) -> None:
    old = json.loads(json.dumps(content))
    for key in ("method", "measures", "device", "tile"):
        del old[key]
    del old["protocol"]["ensemble"], old["datasets"]["Set5"]["lr_from"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**old, "schema": 1}))
    read = read_json(path)
    assert read["schema"] == SCHEMA
    assert read["protocol"] == {**content["protocol"], "ensemble": "none"}
    assert read["method"]["kind"] == "network"
    assert (read["measures"], read["device"], read["datasets"]["Set5"]["lr_from"]) == ({}, None, None)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 3}', '{"psnr": 40}'])
def test_what_is_no_results_json_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"results\.json"):
        read_json(tmp_path / "results.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.json can't be read as results"):
        read_json(tmp_path / "nowhere.json")


def test_results_that_find_no_room_leave_the_earlier_ones_as_they_were(tmp_path: Path) -> None:
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
