"""`upnet evaluate checkpoint=…`: several networks, ensembles, file names, and failures of optional output."""

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from upnet.cli import evaluate as evaluate_module
from upnet.cli import report as report_module
from upnet.cli.evaluate import evaluate_baseline, evaluate_checkpoints, export_checkpoint
from upnet.cli.report import compare_results, report_study
from upnet.utils.errors import UserError

Config = Callable[..., DictConfig]
Results = Callable[..., dict[str, Any]]


def test_a_self_ensemble_has_its_own_protocol_and_column(
    evaluate_config: Config, checkpoint: Path, results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_checkpoints(evaluate_config(f"checkpoint={checkpoint}", folder="single"))
    evaluate_checkpoints(evaluate_config(f"checkpoint={checkpoint}", "ensemble=x8", "tile=16", folder="ensemble"))
    single, ensemble = results("single"), results("ensemble")
    assert ensemble["protocol"] == {**single["protocol"], "ensemble": "x8"}
    assert (single["tile"], ensemble["tile"]) == ("auto", 16)
    assert (single["method"], single["device"]) == ({"kind": "network", "name": "run"}, "cpu")
    scores, other = (found["datasets"]["pictures"] for found in (single, ensemble))
    assert scores["baseline"] == other["baseline"]
    assert scores["psnr"] != other["psnr"]
    assert "ensemble x8" in capsys.readouterr().out
    paths = f"results=[{tmp_path}/single,{tmp_path}/ensemble]"
    with pytest.raises(UserError, match=r"single and ensemble differ in protocol.*ensemble: none and x8") as caught:
        compare_results(evaluate_config(paths))
    assert "allow_mixed=true" in caught.value.cure
    compare_results(evaluate_config(paths, "allow_mixed=true"))
    printed = capsys.readouterr().out
    for part in ("single [1]", "ensemble [2]", f"{scores['psnr']:.2f} / {scores['ssim']:.4f}", "ensemble x8"):
        assert part in printed, part


def test_networks_of_different_scales_share_a_table_only_on_request(
    evaluate_config: Config, checkpoint: Path, scale_3_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (f"checkpoint=[{checkpoint},{scale_3_checkpoint}]",)
    with pytest.raises(UserError, match=r"scales \[2, 3\]") as caught:
        evaluate_checkpoints(evaluate_config(*words))
    assert "allow_mixed=true" in caught.value.cure
    evaluate_checkpoints(evaluate_config(*words, "allow_mixed=true"))
    printed = capsys.readouterr().out
    for part in ("run [1]", "other [2]", "run: ×2", "other: ×3"):
        assert part in printed, part


class CalledError(Exception):
    """Raised by a replaced function with its arguments."""


@pytest.mark.parametrize("use", [evaluate_checkpoints, export_checkpoint, report_study])
def test_weights_and_trusted_modules_are_passed_on(
    use: Callable[[DictConfig], None], evaluate_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_arguments(*arguments: object) -> None:
        raise CalledError(*arguments)

    monkeypatch.setattr(evaluate_module, "load_network", raise_arguments)
    monkeypatch.setattr(report_module, "read_study", raise_arguments)
    words = ("export=a.safetensors", "study=runs") if use is report_study else ("export=a.safetensors",)
    with pytest.raises(CalledError) as caught:
        use(evaluate_config("checkpoint=a.ckpt", "weights=raw", "trust=[mine,yours]", *words))
    weights = () if use is report_study else ("raw",)
    assert caught.value.args[1 : 2 + len(weights)] == (*weights, ["mine", "yours"])


NAMES = {b"caf\xe9": "caf\\xe9", b"A$x_$y": "A$x_$y", "照片".encode(): "照片", "😀".encode(): "😀"}
"""Names of files, in bytes -> their printed form."""


def test_special_file_names_are_text_in_every_output(
    evaluate_config: Config,
    checkpoint: Path,
    pictures: Path,
    results: Results,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in NAMES:
        try:
            shutil.copy(pictures / "picture0.png", os.fsdecode(os.fsencode(pictures) + b"/" + name + b".png"))
        except OSError as error:
            pytest.skip(f"a file can't be called {name!r} here: {error.strerror}")
    evaluate_checkpoints(evaluate_config(f"checkpoint={checkpoint}", "save_images=true"))
    found = results()["datasets"]["pictures"]
    assert set(NAMES.values()) < set(found["images"])
    with (tmp_path / "evaluation/results.csv").open(newline="", encoding="utf-8") as file:
        assert {row["image"] for row in csv.DictReader(file)} == set(found["images"])
    saved = {path.stem for path in (tmp_path / "evaluation/images/pictures").iterdir()}
    assert saved == set(found["images"])
    printed = capsys.readouterr().out
    (events,) = (tmp_path / "evaluation/tensorboard/evaluation").iterdir()
    tags = EventAccumulator(str(events)).Reload().Tags()["images"]
    for name in NAMES.values():
        assert name in printed, name
        assert f"evaluation/pictures/{name}" in tags, name


def test_results_are_written_although_optional_output_fails(
    evaluate_config: Config,
    checkpoint: Path,
    results: Results,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise RuntimeError("out of fonts")

    evaluate_checkpoints(evaluate_config(f"checkpoint={checkpoint}", folder="complete"))
    monkeypatch.setattr(evaluate_module, "print_results", fail)
    monkeypatch.setattr(evaluate_module, "log_to_run", fail)
    monkeypatch.setattr(Image.Image, "save", fail)
    evaluate_checkpoints(evaluate_config(f"checkpoint={checkpoint}", "save_images=true"))
    assert results()["datasets"] == results("complete")["datasets"]
    assert (tmp_path / "evaluation/results.csv").is_file()
    messages = [record.getMessage() for record in caplog.records]
    assert len([line for line in messages if line.startswith("the output image ")]) == 3
    assert [line.partition(" could")[0] for line in messages[3:]] == [
        "the printed table",
        "TensorBoard's log of the evaluation",
    ]
    evaluate_baseline(evaluate_config("baseline=nearest", folder="baseline"))
    assert results("baseline")["datasets"]


def test_the_config_is_not_changed(evaluate_config: Config, scale_3_checkpoint: Path, results: Results) -> None:
    """The scale of a checkpoint reaches the test sets as an argument; the config keeps its own."""
    config = evaluate_config(f"checkpoint={scale_3_checkpoint}")
    before = OmegaConf.to_container(config)
    evaluate_checkpoints(config)
    assert results()["scale"] == 3
    assert OmegaConf.to_container(config) == before
