"""A training that stops where it must, and settings that are refused before it starts."""

import gc
import os
import signal
import threading
import weakref
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from support import same, state

from upnet.checkpoint import load_network
from upnet.config import ConfigError
from upnet.config.schema import TrainSettings
from upnet.training import callbacks, train
from upnet.training.callbacks import NonFiniteLossError
from upnet.training.callbacks.interrupt import SIGNALS
from upnet.training.trainer import build_trainer
from upnet.utils.allocator import TRAINING_KERNELS
from upnet.utils.errors import UserError


def test_a_loss_that_is_lost_stops_the_run_and_keeps_the_last_good_checkpoint(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upnet.training.task import Task

    honest, trained = Task.training_step, []

    def lost(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        trained.append(batch_idx)
        loss = honest(self, batch, batch_idx)
        return loss * float("nan") if batch_idx == 4 else loss

    monkeypatch.setattr(Task, "training_step", lost)
    with pytest.raises(NonFiniteLossError, match=r"at step 5, in a batch of picture.*last\.ckpt.*optimizer\.lr"):
        train(tiny())
    assert trained[-1] == 4
    kept = load_network(tmp_path / "run/checkpoints/last.ckpt", weights="raw")
    assert kept.step == 3
    assert all(torch.isfinite(parameter).all() for parameter in kept.net.parameters())
    assert not (tmp_path / "run/results.json").exists()


def test_the_step_and_the_pictures_that_are_named_are_those_of_the_lost_batch(
    tiny, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second of two batches that make a step, and by the one picture that is red."""
    from upnet.training.task import Task

    Image.new("RGB", (64, 64), (200, 20, 20)).save(pictures / "picture1.png")
    honest, steps = Task.training_step, []

    def lost(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = honest(self, batch, batch_idx)
        if batch_idx % 2 == 0 or not bool((batch["hr"][:, 0] == 200).all()):
            return loss
        steps.append(self.global_step + 1)
        return loss * float("nan")

    monkeypatch.setattr(Task, "training_step", lost)
    with pytest.raises(NonFiniteLossError) as told:
        train(tiny("data.batch_size=1", "trainer.accumulate_grad_batches=2", "steps=20"))
    assert f"at step {steps[0]}, in a batch of picture1. The last" in str(told.value)


def test_weights_that_are_lost_with_a_fine_loss_are_never_saved(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upnet.training.task import Task

    honest = Task.optimizer_step

    def lost(self: Task, *rest: object) -> None:
        honest(self, *rest)  # pyright: ignore[reportArgumentType]
        if self.global_step == 1:  # of the steps that are through
            next(self.net.parameters()).data.fill_(float("inf"))

    monkeypatch.setattr(Task, "optimizer_step", lost)
    sentence = (
        r"the weights are no longer finite at step 2, in a batch of picture.*The last good checkpoint: .*last\.ckpt"
    )
    with pytest.raises(NonFiniteLossError, match=sentence):
        train(tiny("callbacks.checkpoints.minutes=1e-9"))
    kept = load_network(tmp_path / "run/checkpoints/last.ckpt", weights="raw")
    assert kept.step == 1
    assert all(torch.isfinite(parameter).all() for parameter in kept.net.parameters())


def test_weights_that_are_lost_are_not_scored(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.training.task import Task

    def lost(self: Task, *rest: object) -> None:
        next(self.net.parameters()).data.fill_(float("nan"))

    def scored(self: Task, *rest: object) -> None:
        raise AssertionError("scored")

    monkeypatch.setattr(Task, "on_train_batch_end", lost)
    monkeypatch.setattr(Task, "validation_step", scored)
    with pytest.raises(NonFiniteLossError, match=r"weights are no longer finite at step 1,.*none was saved yet"):
        train(tiny("steps=1", "validations=1"))
    assert not (tmp_path / "run/checkpoints").exists()


def test_pictures_that_disappear_or_are_cut_short_while_training_runs_change_nothing(
    tiny, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were decoded before the first step; workers and the last validation read what was decoded."""
    settings = ("data.workers=2", "callbacks.grid=null")
    whole = train(tiny(*settings, run="whole"))
    honest = callbacks.Scalars.on_train_batch_end

    def lose(self: callbacks.Scalars, trainer: pl.Trainer, *rest: object) -> None:
        honest(self, trainer, *rest)  # pyright: ignore[reportArgumentType]
        if trainer.global_step == 2:
            gone, *cut = [*pictures.glob("*.png"), *(tmp_path / "validation").glob("*.png")]
            gone.unlink()
            for path in cut:
                path.write_bytes(path.read_bytes()[:100])

    monkeypatch.setattr(callbacks.Scalars, "on_train_batch_end", lose)
    assert train(tiny(*settings, run="lost"))["datasets"] == whole["datasets"]
    weights = [state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("whole", "lost")]
    assert same(*weights)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"picture\d\.png cannot be read as an image"):
        train(tiny(*settings, run="next"))


def test_signals_are_given_back_after_an_error(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.training.task import Task

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

    def noted(settings: TrainSettings, resume_step: int | None) -> pl.Trainer:
        trainer = build_trainer(settings, resume_step)
        trained.append(weakref.ref(trainer))
        return trainer

    monkeypatch.setattr("upnet.training.runner.build_trainer", noted)
    before, threads = [signal.getsignal(number) for number in SIGNALS], set(threading.enumerate())
    train(tiny())
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert {type(one).__name__ for one in set(threading.enumerate()) - threads} <= {"TMonitor"}  # tqdm's, one for all
    gc.collect()
    assert [reference() for reference in trained] == [None]


def test_few_kernels_are_kept_and_memory_is_given_back_whatever_happens(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*rest: object) -> None:
        raise RuntimeError("whatever happens")

    given: list[bool] = []
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    monkeypatch.setattr("upnet.training.runner._run", fails)
    monkeypatch.setattr("upnet.training.runner.malloc_trim", lambda: given.append(True))
    with pytest.raises(RuntimeError, match="whatever happens"):
        train(tiny())
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == str(TRAINING_KERNELS)
    assert given == [True]


def test_y_float_is_refused_for_colour(tiny) -> None:
    with pytest.raises(ValueError, match=r"protocol=rgb8"):
        train(tiny("protocol.name=y-float"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["scale=2.5"], "scale=2.5: must be"),
        (["steps=many"], "steps=many: must be"),
        (["precision=fp8"], "precision=fp8: must be"),
        (["trainer.max_steps=ten"], "trainer.max_steps"),
        (["+optimizer.lrr=1"], r"lrr.*Did you mean optimizer\.lr"),
        (["+trainer.acelerator=cpu"], r"acelerator.*Did you mean trainer\.accelerator"),
        (["+model.encoder.widht=3"], r"widht.*Did you mean model\.encoder\.width"),
        (["+stpes=3"], "stpes.*Did you mean steps"),
        (["ema=1.5"], "ema=1.5: must be"),
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
    with pytest.raises(UserError, match=told):
        train(tiny(override))
    assert not (tmp_path / "run").exists()
