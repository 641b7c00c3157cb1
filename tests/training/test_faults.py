"""A training that stops where it must, and settings that are refused before it starts."""

import errno
import gc
import signal
import threading
import weakref
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from upnet.callbacks import CheckpointFiles, NonFiniteLossError
from upnet.callbacks.interrupt import SIGNALS
from upnet.checkpoint import load_network
from upnet.config import ConfigError
from upnet.training import train
from upnet.training.parts import build_trainer
from upnet.training.run import alone


def test_a_loss_that_is_lost_stops_the_run_and_keeps_the_last_good_checkpoint(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upnet.task import Task

    honest = Task.training_step

    def lost(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = honest(self, batch, batch_idx)
        return loss * float("nan") if batch_idx == 4 else loss

    monkeypatch.setattr(Task, "training_step", lost)
    with pytest.raises(NonFiniteLossError, match=r"at step 5, in a batch of picture.*last\.ckpt.*optimizer\.lr"):
        train(tiny())
    kept = load_network(tmp_path / "run/checkpoints/last.ckpt", weights="raw")
    assert kept.step == 3
    assert all(torch.isfinite(parameter).all() for parameter in kept.net.parameters())
    assert not (tmp_path / "run/results.json").exists()


def test_signals_are_given_back_after_an_error(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.task import Task

    before = [signal.getsignal(number) for number in SIGNALS]
    monkeypatch.setattr(
        Task, "training_step", lambda self, batch, batch_idx: self.net.tail.output.bias.sum() * float("nan")
    )
    with pytest.raises(NonFiniteLossError):
        train(tiny())
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_nothing_of_a_training_stays_when_it_is_over(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals go back to whom they belonged, threads end, and what it held in memory is free."""
    trained: list[weakref.ref[pl.Trainer]] = []

    def noted(config: DictConfig) -> pl.Trainer:
        trainer = build_trainer(config)
        trained.append(weakref.ref(trainer))
        return trainer

    monkeypatch.setattr("upnet.training.run.build_trainer", noted)
    before, threads = [signal.getsignal(number) for number in SIGNALS], set(threading.enumerate())
    train(tiny())
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert {type(one).__name__ for one in set(threading.enumerate()) - threads} <= {"TMonitor"}  # tqdm's, one for all
    gc.collect()
    assert [reference() for reference in trained] == [None]


def test_y_float_is_refused_for_colour(tiny) -> None:
    with pytest.raises(ValueError, match=r"model\.channels=3; take protocol=rgb8"):
        train(tiny("protocol.name=y-float"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["scale=2.5"], "scale: 2.5 is not allowed"),
        (["steps=many"], "steps: 'many' is not allowed"),
        (["precision=fp8"], "precision: 'fp8' is not allowed"),
        (["trainer.max_steps=ten"], "trainer.max_steps"),
        (["+optimizer.lrr=1"], r"lrr.*did you mean optimizer\.lr"),
        (["+trainer.acelerator=cpu"], r"acelerator.*did you mean trainer\.accelerator"),
        (["+model.encoder.widht=3"], r"widht.*did you mean model\.encoder\.width"),
        (["+stpes=3"], "stpes.*did you mean steps"),
        (["ema=1.5"], "ema: 1.5 is not allowed"),
    ],
)
def test_unknown_and_unfit_settings_are_refused_before_anything_is_built(
    tiny, tmp_path: Path, overrides: list[str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        tiny(*overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "told"),
    [("optimizer.lr=-1", "optimizer: Invalid learning rate"), ("optimizer.betas=[2,0.9]", "optimizer:")],
)
def test_what_torch_refuses_is_refused_before_a_run_begins(tiny, tmp_path: Path, override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        train(tiny(override))
    assert not (tmp_path / "run").exists()


def test_a_second_run_in_the_same_folder_is_refused(tiny, tmp_path: Path) -> None:
    with alone(tmp_path / "run"), pytest.raises(ValueError, match=r"another run is at work in .*run; wait for it, or"):
        train(tiny())
    assert not (tmp_path / "run/config.yaml").exists()


def test_a_full_disk_loses_no_checkpoint(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: CheckpointFiles, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(CheckpointFiles, "_keep", full)  # called from the second saving on
    with pytest.raises(OSError, match="No space left"):
        train(tiny("validations=6"))
    monkeypatch.undo()
    folder = tmp_path / "run/checkpoints"
    assert load_network(folder / "last.ckpt").step == 1
    assert not list(folder.glob(".*"))
    assert not (tmp_path / "run/results.json").exists()
