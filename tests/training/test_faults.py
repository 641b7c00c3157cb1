"""Training stops at non-finite values, cleans up after itself, and rejects invalid settings before it starts."""

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


def test_a_non_finite_loss_stops_the_run_and_keeps_the_last_checkpoint(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from upnet.training.task import Task

    original, batch_indices = Task.training_step, []

    def return_nan(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        batch_indices.append(batch_idx)
        loss = original(self, batch, batch_idx)
        return loss * float("nan") if batch_idx == 4 else loss

    monkeypatch.setattr(Task, "training_step", return_nan)
    with pytest.raises(NonFiniteLossError, match=r"at step 5, in a batch of picture.*last\.ckpt.*optimizer\.lr"):
        train(tiny())
    assert batch_indices[-1] == 4
    kept = load_network(tmp_path / "run/checkpoints/last.ckpt", weights="raw")
    assert kept.step == 3
    assert all(torch.isfinite(parameter).all() for parameter in kept.net.parameters())
    assert not (tmp_path / "run/results.json").exists()


def test_the_error_contains_the_step_and_the_images_of_the_non_finite_batch(
    tiny, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is NaN in the second of two accumulated batches, for the one red image."""
    from upnet.training.task import Task

    Image.new("RGB", (64, 64), (200, 20, 20)).save(pictures / "picture1.png")
    original, steps = Task.training_step, []

    def return_nan(self: Task, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = original(self, batch, batch_idx)
        if batch_idx % 2 == 0 or not bool((batch["hr"][:, 0] == 200).all()):
            return loss
        steps.append(self.global_step + 1)
        return loss * float("nan")

    monkeypatch.setattr(Task, "training_step", return_nan)
    with pytest.raises(NonFiniteLossError) as raised:
        train(tiny("data.batch_size=1", "trainer.accumulate_grad_batches=2", "steps=20"))
    assert f"at step {steps[0]}, in a batch of picture1. The last" in str(raised.value)


def test_non_finite_weights_are_not_saved(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.training.task import Task

    original = Task.optimizer_step

    def corrupt_weights(self: Task, *rest: object) -> None:
        original(self, *rest)  # pyright: ignore[reportArgumentType]
        if self.global_step == 1:  # number of completed steps
            next(self.net.parameters()).data.fill_(float("inf"))

    monkeypatch.setattr(Task, "optimizer_step", corrupt_weights)
    message = (
        r"the weights are no longer finite at step 2, in a batch of picture.*The last good checkpoint: .*last\.ckpt"
    )
    with pytest.raises(NonFiniteLossError, match=message):
        train(tiny("callbacks.checkpoints.minutes=1e-9"))
    kept = load_network(tmp_path / "run/checkpoints/last.ckpt", weights="raw")
    assert kept.step == 1
    assert all(torch.isfinite(parameter).all() for parameter in kept.net.parameters())


def test_non_finite_weights_are_not_validated(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.training.task import Task

    def corrupt_weights(self: Task, *rest: object) -> None:
        next(self.net.parameters()).data.fill_(float("nan"))

    def fail_validation(self: Task, *rest: object) -> None:
        raise AssertionError("validation ran")

    monkeypatch.setattr(Task, "on_train_batch_end", corrupt_weights)
    monkeypatch.setattr(Task, "validation_step", fail_validation)
    with pytest.raises(NonFiniteLossError, match=r"weights are no longer finite at step 1,.*none was saved yet"):
        train(tiny("steps=1", "validations=1"))
    assert not (tmp_path / "run/checkpoints").exists()


def test_deleted_or_truncated_images_do_not_affect_a_running_training(
    tiny, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are decoded before the first step; workers and validation read the decoded images."""
    settings = ("data.workers=2", "callbacks.grid=null")
    reference = train(tiny(*settings, run="reference"))
    original = callbacks.Scalars.on_train_batch_end

    def delete_and_truncate_images(self: callbacks.Scalars, trainer: pl.Trainer, *rest: object) -> None:
        original(self, trainer, *rest)  # pyright: ignore[reportArgumentType]
        if trainer.global_step == 2:
            deleted, *truncated = [*pictures.glob("*.png"), *(tmp_path / "validation").glob("*.png")]
            deleted.unlink()
            for path in truncated:
                path.write_bytes(path.read_bytes()[:100])

    monkeypatch.setattr(callbacks.Scalars, "on_train_batch_end", delete_and_truncate_images)
    assert train(tiny(*settings, run="changed"))["datasets"] == reference["datasets"]
    weights = [state(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("reference", "changed")]
    assert same(*weights)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"picture\d\.png cannot be read as an image"):
        train(tiny(*settings, run="next"))


def test_signal_handlers_are_restored_after_an_error(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from upnet.training.task import Task

    before = [signal.getsignal(number) for number in SIGNALS]
    monkeypatch.setattr(
        Task, "training_step", lambda self, batch, batch_idx: self.net.tail.output.bias.sum() * float("nan")
    )
    with pytest.raises(NonFiniteLossError):
        train(tiny())
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_training_restores_signal_handlers_and_leaves_no_threads_or_trainer(
    tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signal handlers are restored, threads end, and the trainer is garbage-collected."""
    trainers: list[weakref.ref[pl.Trainer]] = []

    def build_and_record(settings: TrainSettings, resume_step: int | None) -> pl.Trainer:
        trainer = build_trainer(settings, resume_step)
        trainers.append(weakref.ref(trainer))
        return trainer

    monkeypatch.setattr("upnet.training.runner.build_trainer", build_and_record)
    before, threads = [signal.getsignal(number) for number in SIGNALS], set(threading.enumerate())
    train(tiny())
    assert [signal.getsignal(number) for number in SIGNALS] == before
    # tqdm's monitor is one thread per process.
    assert {type(thread).__name__ for thread in set(threading.enumerate()) - threads} <= {"TMonitor"}
    gc.collect()
    assert [reference() for reference in trainers] == [None]


def test_the_kernel_cache_is_limited_and_memory_is_released_after_an_error(
    tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*rest: object) -> None:
        raise RuntimeError("training failed")

    trims: list[bool] = []
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    monkeypatch.setattr("upnet.training.runner._run", fail)
    monkeypatch.setattr("upnet.training.runner.malloc_trim", lambda: trims.append(True))
    with pytest.raises(RuntimeError, match="training failed"):
        train(tiny())
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == str(TRAINING_KERNELS)
    assert trims == [True]


def test_y_float_is_rejected_for_colour_images(tiny) -> None:
    with pytest.raises(ValueError, match=r"protocol=rgb8"):
        train(tiny("protocol.name=y-float"))


@pytest.mark.parametrize(
    ("overrides", "message"),
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
def test_unknown_and_invalid_settings_are_rejected_before_training(
    tiny, tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(*overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [("optimizer.lr=-1", "optimizer: Invalid learning rate"), ("optimizer.betas=[2,0.9]", "optimizer:")],
)
def test_settings_that_torch_rejects_are_rejected_before_training(
    tiny, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(tiny(override))
    assert not (tmp_path / "run").exists()
