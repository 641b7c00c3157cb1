"""A run that is killed, at whatever moment, is resumed as if nothing had been."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from comparison import differing_parts
from support import code, forked

from upnet.training import run_summary, train
from upnet.training import runner as training
from upnet.training.callbacks import AtomicCheckpointIO, Scalars
from upnet.training.task import Task

STEPS = ("steps=9", "validations=3", "scheduler.warmup=2", "trainer.log_every_n_steps=1")


def die(*rest: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(step: int) -> None:
    honest = Scalars.on_train_batch_end

    def then_die(self: Scalars, trainer: Any, *rest: Any) -> None:
        honest(self, trainer, *rest)
        if trainer.global_step == step:
            for logger in trainer.loggers:
                logger.save()  # what was logged since the last checkpoint reaches the disk, or not
            die()

    Scalars.on_train_batch_end = then_die  # pyright: ignore[reportAttributeAccessIssue]


def before_the_first_checkpoint() -> None:
    at_step(2)


def between_steps() -> None:
    at_step(5)


def in_a_validation() -> None:
    honest = Task.validation_step

    def then_die(self: Task, *rest: Any) -> Any:
        if self.global_step == 6:
            die()
        return honest(self, *rest)

    Task.validation_step = then_die  # pyright: ignore[reportAttributeAccessIssue]


def while_a_checkpoint_is_written() -> None:
    honest = AtomicCheckpointIO.save_checkpoint

    def half(
        self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        if checkpoint["global_step"] < 6:
            return honest(self, checkpoint, path, storage_options)
        os.fsync = die  # the bytes are written, and nothing has its name yet
        return honest(self, checkpoint, path, storage_options)

    AtomicCheckpointIO.save_checkpoint = half


def while_earlier_checkpoints_are_kept() -> None:
    honest = os.replace

    def replace(one: Any, other: Any) -> None:
        honest(one, other)
        if str(other).endswith("last-2.ckpt"):
            die()

    os.replace = replace


def right_after_a_checkpoint() -> None:
    """What is logged reaches the disk only where that is asked for, as on a machine that is busy."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    held: list[bytes] = []
    write, flush = RecordWriter.write, RecordWriter.flush

    def flushed(self: RecordWriter) -> None:
        for data in held:
            write(self, data)
        held.clear()
        flush(self)

    RecordWriter.write = lambda self, data: held.append(data)
    RecordWriter.flush = flushed
    honest = AtomicCheckpointIO.save_checkpoint

    def then_die(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        honest(self, checkpoint, path, storage_options)
        if checkpoint["global_step"] == 6 and Path(path).name == "last.ckpt":
            die()

    AtomicCheckpointIO.save_checkpoint = then_die


def between_the_best_and_the_last_checkpoint() -> None:
    honest, seen = os.replace, []

    def replace(one: Any, other: Any) -> None:
        honest(one, other)
        if str(other).endswith("best.ckpt"):
            seen.append(other)
            if len(seen) == 2:
                die()

    os.replace = replace


def after_the_last_checkpoint() -> None:
    training.finalize = die


def amid_the_conclusion() -> None:
    def half(net: Any, sets: Any, content: Any, file: BinaryIO) -> None:
        file.write(b"half an image")
        die()

    run_summary.draw_comparison = half


@pytest.mark.parametrize(
    ("settings", "moments"),
    [
        (("precision=32", "data.workers=2"), [between_steps]),
        pytest.param(("precision=bf16", "data.workers=0"), [in_a_validation], marks=pytest.mark.full),
        pytest.param(
            ("precision=32", "data.workers=0"),
            [
                before_the_first_checkpoint,
                while_a_checkpoint_is_written,
                while_earlier_checkpoints_are_kept,
                right_after_a_checkpoint,
                between_the_best_and_the_last_checkpoint,
                after_the_last_checkpoint,
                amid_the_conclusion,
            ],
            marks=pytest.mark.full,
        ),
        pytest.param(("precision=bf16", "callbacks.checkpoints.minutes=1e-9"), [between_steps], marks=pytest.mark.full),
    ],
    ids=["2_workers", "bf16", "fp32", "just_after_a_checkpoint_by_time"],
)
def test_a_run_that_is_killed_and_resumed_ends_as_one_that_was_never_disturbed(
    tiny, tmp_path: Path, settings: tuple[str, ...], moments: list[Callable[[], None]]
) -> None:
    train(tiny(*STEPS, *settings, run="whole"))
    for dies in moments:
        run = dies.__name__

        def killed(dies: Callable[[], None] = dies, run: str = run) -> None:
            dies()
            train(tiny(*STEPS, *settings, run=run))

        assert code(forked(killed)) == -signal.SIGKILL
        assert (tmp_path / run / "results.json").exists() == (dies is amid_the_conclusion)
        last = tmp_path / run / "checkpoints/last.ckpt"
        # At once: what the dead process had forked may live on for seconds, and is in nobody's way.
        time.sleep(1.1)  # TensorBoard reads event files by their names, which hold the second of their start
        train(tiny(*STEPS, *settings, *([f"ckpt={last}"] if last.exists() else []), run=run))
        assert differing_parts(tmp_path / "whole", tmp_path / run) == [], run


@pytest.mark.full
def test_a_run_that_ended_without_results_and_has_kept_nothing_before_its_end_begins_anew(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("steps=3", "validations=1", "callbacks.grid=null")
    train(tiny(*settings, run="whole"))
    with monkeypatch.context() as patch:
        patch.setattr(training, "finalize", lambda *rest: {})
        train(tiny(*settings, run="killed"))
    last = f"ckpt={tmp_path}/killed/checkpoints/last.ckpt"
    train(tiny(*settings, last, run="killed"))
    assert "ended without results, and starts again" in caplog.text
    assert differing_parts(tmp_path / "whole", tmp_path / "killed") == []
    # Prolonged, it has the results of fewer steps, which aren't those of its last checkpoint.
    longer = (*settings, "steps=4", last)
    with monkeypatch.context() as patch:
        patch.setattr(training, "finalize", lambda *rest: {})
        train(tiny(*longer, run="killed"))
    assert train(tiny(*longer, run="killed"))["step"] == 4
