"""A run that is killed, at whatever moment, is resumed as if nothing had been."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from support import same, scalars, state

from upnet.callbacks import CheckpointFiles, Scalars
from upnet.task import Task
from upnet.training import train

STEPS = ("steps=9", "validations=3", "scheduler.warmup=2", "trainer.log_every_n_steps=1")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def between_steps() -> None:
    honest = Scalars.on_train_batch_end

    def then_die(self: Scalars, trainer: Any, *rest: Any) -> None:
        honest(self, trainer, *rest)
        if trainer.global_step == 5:
            die()

    Scalars.on_train_batch_end = then_die  # pyright: ignore[reportAttributeAccessIssue]


def in_a_validation() -> None:
    honest = Task.validation_step

    def then_die(self: Task, *rest: Any) -> Any:
        if self.global_step == 6:
            die()
        return honest(self, *rest)

    Task.validation_step = then_die  # pyright: ignore[reportAttributeAccessIssue]


def while_a_checkpoint_is_written() -> None:
    honest = CheckpointFiles.save_checkpoint

    def half(self: CheckpointFiles, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        if checkpoint["global_step"] < 6:
            return honest(self, checkpoint, path, storage_options)
        os.fsync = lambda handle: die()  # the bytes are written, and nothing has its name yet
        return honest(self, checkpoint, path, storage_options)

    CheckpointFiles.save_checkpoint = half


def in_a_process_that(dies: Callable[[], None], config: DictConfig) -> int | None:
    """Train in a process of its own, and its exit code."""

    def run() -> None:
        dies()
        train(config)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(120)
    return process.exitcode


@pytest.mark.parametrize(
    ("dies", "settings"),
    [
        (between_steps, ("precision=32", "data.workers=2")),
        (in_a_validation, ("precision=bf16", "data.workers=0")),
        (while_a_checkpoint_is_written, ("precision=32", "data.workers=0")),
        (between_steps, ("precision=bf16", "callbacks.checkpoints.minutes=1e-9")),
    ],
    ids=["between_steps", "in_a_validation", "while_a_checkpoint_is_written", "just_after_a_checkpoint_by_time"],
)
def test_a_run_that_is_killed_and_resumed_ends_as_one_that_was_never_disturbed(
    tiny, tmp_path: Path, dies: Callable[[], None], settings: tuple[str, ...]
) -> None:
    train(tiny(*STEPS, *settings, run="whole"))
    assert in_a_process_that(dies, tiny(*STEPS, *settings, run="killed")) == -signal.SIGKILL
    assert not (tmp_path / "killed/results.json").exists()
    last = tmp_path / "killed/checkpoints/last.ckpt"
    train(tiny(*STEPS, *settings, f"ckpt={last}", run="killed"))

    whole, resumed = state(tmp_path / "whole/checkpoints/last.ckpt"), state(last)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "upnet"):
        assert same(whole[part], resumed[part]), part
    best = [state(tmp_path / run / "checkpoints/best.ckpt") for run in ("whole", "killed")]
    assert same(best[0]["state_dict"], best[1]["state_dict"])
    results = [json.loads((tmp_path / run / "results.json").read_text()) for run in ("whole", "killed")]
    assert results[0]["datasets"] == results[1]["datasets"]
    told = [scalars(tmp_path / run / "tensorboard") for run in ("whole", "killed")]
    assert told[0].keys() == told[1].keys()
    for tag in told[0]:
        if tag in ("train/images_per_second", "train/data_share"):
            assert sorted(step for step, _ in told[0][tag]) == sorted(step for step, _ in told[1][tag])
        else:
            assert sorted(told[0][tag]) == sorted(told[1][tag]), tag
