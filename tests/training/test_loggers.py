"""Training with a CSV logger, several loggers or none."""

import csv
from pathlib import Path

import pytest
from support import scalars

from upnet.cli.app import _none_for_null
from upnet.training import train


def logged(path: Path, name: str) -> list[tuple[int, float]]:
    """The non-empty values of a column of metrics.csv with their steps."""
    with path.open(encoding="utf-8") as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row[name]]


@pytest.mark.rotating
@pytest.mark.parametrize("choice", ["csv", "several", "none"])
def test_a_run_writes_results_and_resumes_with_each_logger(tiny, tmp_path: Path, choice: str) -> None:
    run = tmp_path / "run"
    train(tiny("steps=4", f"logger={choice}"))
    content = train(tiny("steps=6", f"logger={choice}", f"ckpt={run}/checkpoints/last.ckpt"))
    psnr = content["datasets"]["validation"]["psnr"]
    assert (run / "csv").exists() == (choice in ("csv", "several"))
    assert (run / "tensorboard").exists() == (choice == "several")
    if choice != "none":
        first, second = (run / f"csv/version_{number}/metrics.csv" for number in (0, 1))
        assert [step for step, _ in logged(first, "validation/psnr")] == [2, 4]
        assert logged(second, "final/validation/psnr") == [(6, pytest.approx(psnr))]
        assert "learning_rate" in second.with_name("hparams.yaml").read_text(encoding="utf-8")
    if choice == "several":
        assert scalars(run / "tensorboard")["validation/psnr"][-1] == (6, pytest.approx(psnr, abs=1e-4))
    assert not (tmp_path / "lightning_logs").exists()


def test_a_lightning_logger_is_selected_by_class_and_writes_into_the_run_folder(tiny, tmp_path: Path) -> None:
    train(tiny("steps=1", "validations=1", "logger._target_=pytorch_lightning.loggers.CSVLogger"))
    assert logged(tmp_path / "run/lightning_logs/version_0/metrics.csv", "validation/psnr")


def test_resume_truncates_tensorboard_events_in_a_renamed_folder(tiny, tmp_path: Path) -> None:
    train(tiny("steps=4", "validations=4", "logger.name=curves"))
    train(tiny("steps=6", "validations=6", "logger.name=curves", f"ckpt={tmp_path}/run/checkpoints/last-2.ckpt"))
    assert [step for step, _ in scalars(tmp_path / "run/curves")["validation/psnr"]] == [1, 2, 3, 4, 5, 6]


def test_null_becomes_none_for_groups_with_the_choice_none() -> None:
    assert _none_for_null("logger=null") == "logger=none"
    assert _none_for_null("model=null") == "model=null"
    assert _none_for_null("data.val_root=null") == "data.val_root=null"
