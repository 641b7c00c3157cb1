"""Unusual file names and failing illustrations do not affect the results of a training."""

import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image
from support import code, command, scalars

from upnet.evaluation.results import read_results
from upnet.training import run_summary, train
from upnet.training.callbacks import image_grid

NAMES = {
    b"caf\xe9": "caf\\xe9",
    b"A$x_$y": "A$x_$y",
    "照片".encode(): "照片",
    "😀".encode(): "😀",
    b"a\x1b[2J\n": "a\\x1b[2J\\n",
    b"-=1+1": "-=1+1",
}
"""File names and their displayed form."""


@pytest.fixture
def comparison_image() -> bool:
    return True


@pytest.fixture
def special_names(small: list[str], tmp_path: Path) -> list[str]:
    """A validation set with these file names; skipped if the file system rejects one."""
    for name in NAMES:
        try:
            shutil.copy(
                tmp_path / "validation/scene.png",
                os.fsdecode(os.fsencode(tmp_path / "validation") + b"/" + name + b".png"),
            )
        except OSError as fault:
            pytest.skip(f"this file system rejects the file name {name!r}: {fault.strerror}")
    (tmp_path / "validation/scene.png").unlink()
    return small


def test_special_file_names_are_escaped_in_all_outputs(special_names: list[str], tiny, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(Glyph|glyph|findfont).*")
        content = train(tiny("steps=2", "validations=1"))
    run = tmp_path / "run"
    assert read_results(run / "results.json") == content
    assert set(content["datasets"]["validation"]["images"]) == set(NAMES.values())
    with Image.open(run / "comparison.png") as image:
        assert image.format == "PNG"
    assert not (run / "comparison.txt").exists()
    assert "validation/psnr" in scalars(run / "tensorboard")


@pytest.mark.full
def test_an_ascii_terminal_shows_special_file_names_escaped(special_names: list[str], tmp_path: Path) -> None:
    def encode_ascii() -> None:
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="ascii", closefd=False) for number in (1, 2))

    output = tmp_path / "output.txt"
    overrides = [*special_names, "steps=1", "validations=1", f"hydra.run.dir={tmp_path}/run"]
    assert code(command(overrides, output, encode_ascii)) == 0, output.read_text()
    shown = output.read_bytes().decode("ascii")
    for text in ("caf\\xe9", "A$x_$y", "\\u7167\\u7247", "\\U0001f600", "-=1+1", "tensorboard --logdir"):
        assert text in shown, text
    assert "could not be made" not in shown
    assert (tmp_path / "run/results.json").is_file()


def test_a_validation_folder_that_is_not_utf8_is_scored_and_recorded(tiny, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9el")
    try:
        (tmp_path / "validation").rename(folder)
    except OSError as fault:
        pytest.skip(f"this file system rejects the folder name: {fault.strerror}")
    config = tiny("steps=1", "validations=1")
    config.data["val_root"] = folder
    train(config)
    results = read_results(tmp_path / "run/results.json")
    assert list(results["datasets"]) == ["r\\xe9el"]
    assert Path(results["val_root"]).is_dir()


def test_a_run_folder_that_is_not_utf8_is_rejected_before_training(tiny, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sultats")
    with pytest.raises(ValueError, match=r"hydra\.run\.dir=.*/r\\xe9sultats: the path has bytes that are not UTF-8"):
        train(tiny(run=folder))
    assert not os.path.exists(folder)


def fail(*arguments: object, **settings: object) -> None:
    raise RuntimeError("out of\nfonts")


def test_failing_illustrations_cause_warnings_and_do_not_change_the_results(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pytorch_lightning.loggers import TensorBoardLogger
    from torch.utils.tensorboard.writer import SummaryWriter

    train(tiny(run="reference"))
    monkeypatch.setattr(run_summary, "draw_comparison", fail)
    monkeypatch.setattr(run_summary, "print_results", fail)
    monkeypatch.setattr(TensorBoardLogger, "log_hyperparams", fail)
    monkeypatch.setattr(SummaryWriter, "add_image", fail)
    caplog.set_level(logging.WARNING)
    train(tiny())
    reference, run = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("reference", "run"))
    assert run["datasets"] == reference["datasets"]
    warned = [record.getMessage() for record in caplog.records if "could not be made" in record.getMessage()]
    assert all("(RuntimeError: out of fonts); all numbers are saved" in line for line in warned)
    assert [line.partition(" could")[0] for line in warned] == [
        "TensorBoard's grid of images",  # once per run, not once per validation
        "the last entry of TensorBoardLogger",
        "the comparison image",
        "the printed table",
    ]
    assert (tmp_path / "run/comparison.txt").read_text() == f"{warned[2]}\n"


def test_a_run_with_a_failed_comparison_image_is_finished(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_summary, "draw_comparison", fail)
    train(tiny("steps=2", "validations=1"))
    with pytest.raises(ValueError, match="is finished"):
        train(tiny("steps=2", "validations=1", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))


def test_a_failing_crop_of_the_grid_causes_one_warning(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(image_grid, "max_energy_window", fail)
    train(tiny())
    assert sum("TensorBoard's grid" in record.getMessage() for record in caplog.records) == 1
    assert (tmp_path / "run/results.json").is_file()


def test_images_that_bicubic_reproduces_are_excluded_from_all_means(tiny, tmp_path: Path) -> None:
    """A black image is excluded from the results, from TensorBoard and from the score of best.ckpt."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Image.new("RGB", (64, 64)).save(tmp_path / "validation/black.png")
    content = train(tiny())
    dataset = content["datasets"]["validation"]
    assert dataset["left_out"] == ["black"]
    scene = dataset["images"]["scene"]
    assert (dataset["psnr"], dataset["ssim"]) == (scene["psnr"], scene["ssim"])
    assert dataset["baseline"]["psnr"] == scene["baseline"]["psnr"]
    logged = scalars(tmp_path / "run/tensorboard")
    assert logged["validation/psnr"][-1][1] == pytest.approx(scene["psnr"], abs=1e-4)
    gain = scene["psnr"] - scene["baseline"]["psnr"]
    assert logged["validation/gain"][-1][1] == pytest.approx(gain, abs=1e-4)
    texts = [
        event.tensor_proto.string_val[0].decode()
        for events in (tmp_path / "run/tensorboard").glob("events*")
        for reader in [EventAccumulator(str(events)).Reload()]
        if "validation/means/text_summary" in reader.Tags()["tensors"]
        for event in reader.Tensors("validation/means/text_summary")
    ]
    assert texts == ["Left out of the means, because bicubic equals the target: black."]
