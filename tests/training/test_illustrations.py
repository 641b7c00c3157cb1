"""A training's numbers are kept whatever its images are called, and whatever goes wrong with what illustrates them."""

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
"""Names of files, and how they are shown."""


@pytest.fixture
def comparison_image() -> bool:
    return True


@pytest.fixture
def named(small: list[str], tmp_path: Path) -> list[str]:
    """A validation set of such names. Skipped where the file system has none of them."""
    for name in NAMES:
        try:
            shutil.copy(
                tmp_path / "validation/scene.png",
                os.fsdecode(os.fsencode(tmp_path / "validation") + b"/" + name + b".png"),
            )
        except OSError as fault:
            pytest.skip(f"a file can't be called {name!r} here: {fault.strerror}")
    (tmp_path / "validation/scene.png").unlink()
    return small


def test_names_are_text_in_everything_that_a_training_leaves(named: list[str], tiny, tmp_path: Path) -> None:
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
def test_a_terminal_that_holds_ascii_only_gets_every_name(named: list[str], tmp_path: Path) -> None:
    def ascii_only() -> None:
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="ascii", closefd=False) for number in (1, 2))

    told = tmp_path / "told.txt"
    words = [*named, "steps=1", "validations=1", f"hydra.run.dir={tmp_path}/run"]
    assert code(command(words, told, ascii_only)) == 0, told.read_text()
    shown = told.read_bytes().decode("ascii")
    for part in ("caf\\xe9", "A$x_$y", "\\u7167\\u7247", "\\U0001f600", "-=1+1", "tensorboard --logdir"):
        assert part in shown, part
    assert "could not be made" not in shown
    assert (tmp_path / "run/results.json").is_file()


def test_a_validation_folder_that_is_not_utf8_is_scored_and_found_again(tiny, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9el")
    try:
        (tmp_path / "validation").rename(folder)
    except OSError as fault:
        pytest.skip(f"a folder can't be called that here: {fault.strerror}")
    config = tiny("steps=1", "validations=1")
    config.data["val_root"] = folder
    train(config)
    told = read_results(tmp_path / "run/results.json")
    assert list(told["datasets"]) == ["r\\xe9el"]
    assert Path(told["val_root"]).is_dir()


def test_a_run_folder_that_tensorboard_cannot_write_to_is_refused_at_the_start(tiny, tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sultats")
    with pytest.raises(ValueError, match=r"hydra\.run\.dir=.*/r\\xe9sultats: the path has bytes that are not UTF-8"):
        train(tiny(run=folder))
    assert not os.path.exists(folder)


def broken(*arguments: object, **settings: object) -> None:
    raise RuntimeError("out of\nfonts")


def test_no_failure_of_an_illustration_loses_a_number(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pytorch_lightning.loggers import TensorBoardLogger
    from torch.utils.tensorboard.writer import SummaryWriter

    train(tiny(run="whole"))
    monkeypatch.setattr(run_summary, "draw_comparison", broken)
    monkeypatch.setattr(run_summary, "print_results", broken)
    monkeypatch.setattr(TensorBoardLogger, "log_hyperparams", broken)
    monkeypatch.setattr(SummaryWriter, "add_image", broken)
    caplog.set_level(logging.WARNING)
    train(tiny())
    whole, run = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "run"))
    assert run["datasets"] == whole["datasets"]
    told = [record.getMessage() for record in caplog.records if "could not be made" in record.getMessage()]
    assert all("(RuntimeError: out of fonts); all numbers are saved" in line for line in told)
    assert [line.partition(" could")[0] for line in told] == [
        "TensorBoard's grid of images",  # once, and not at every validation
        "the last entry of TensorBoardLogger",
        "the comparison image",
        "the printed table",
    ]
    assert (tmp_path / "run/comparison.txt").read_text() == f"{told[2]}\n"


def test_a_run_whose_comparison_image_failed_is_finished_all_the_same(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_summary, "draw_comparison", broken)
    train(tiny("steps=2", "validations=1"))
    with pytest.raises(ValueError, match="is finished"):
        train(tiny("steps=2", "validations=1", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))


def test_a_grid_that_cannot_be_cut_is_a_warning_too(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(image_grid, "max_energy_window", broken)
    train(tiny())
    assert sum("TensorBoard's grid" in record.getMessage() for record in caplog.records) == 1
    assert (tmp_path / "run/results.json").is_file()


def test_what_bicubic_reproduces_is_left_out_of_everything_that_goes_by_means(tiny, tmp_path: Path) -> None:
    """A black image in the validation set: results, TensorBoard, and the score that best.ckpt goes by."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Image.new("RGB", (64, 64)).save(tmp_path / "validation/black.png")
    content = train(tiny())
    told = content["datasets"]["validation"]
    assert told["left_out"] == ["black"]
    scene = told["images"]["scene"]
    assert (told["psnr"], told["ssim"]) == (scene["psnr"], scene["ssim"])
    assert told["baseline"]["psnr"] == scene["baseline"]["psnr"]
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
