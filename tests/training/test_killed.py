"""A run that is killed at any moment and resumed equals an uninterrupted run."""

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


def kill_self(*rest: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_step(step: int) -> None:
    original = Scalars.on_train_batch_end

    def then_kill(self: Scalars, trainer: Any, *rest: Any) -> None:
        original(self, trainer, *rest)
        if trainer.global_step == step:
            for logger in trainer.loggers:
                logger.save()  # write what was logged since the last checkpoint to disk
            kill_self()

    Scalars.on_train_batch_end = then_kill  # pyright: ignore[reportAttributeAccessIssue]


def before_the_first_checkpoint() -> None:
    kill_at_step(2)


def between_steps() -> None:
    kill_at_step(5)


def during_validation() -> None:
    original = Task.validation_step

    def then_kill(self: Task, *rest: Any) -> Any:
        if self.global_step == 6:
            kill_self()
        return original(self, *rest)

    Task.validation_step = then_kill  # pyright: ignore[reportAttributeAccessIssue]


def while_a_checkpoint_is_written() -> None:
    original = AtomicCheckpointIO.save_checkpoint

    def kill_at_sync(
        self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        if checkpoint["global_step"] < 6:
            return original(self, checkpoint, path, storage_options)
        os.fsync = kill_self  # the bytes are written, but the file is not renamed yet
        return original(self, checkpoint, path, storage_options)

    AtomicCheckpointIO.save_checkpoint = kill_at_sync


def while_earlier_checkpoints_are_renamed() -> None:
    original = os.replace

    def replace(source: Any, target: Any) -> None:
        original(source, target)
        if str(target).endswith("last-2.ckpt"):
            kill_self()

    os.replace = replace


def right_after_a_checkpoint() -> None:
    """Log records are written to disk only at a flush, as on a busy machine."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffered: list[bytes] = []
    write, flush = RecordWriter.write, RecordWriter.flush

    def write_and_flush(self: RecordWriter) -> None:
        for data in buffered:
            write(self, data)
        buffered.clear()
        flush(self)

    RecordWriter.write = lambda self, data: buffered.append(data)
    RecordWriter.flush = write_and_flush
    original = AtomicCheckpointIO.save_checkpoint

    def then_kill(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        original(self, checkpoint, path, storage_options)
        if checkpoint["global_step"] == 6 and Path(path).name == "last.ckpt":
            kill_self()

    AtomicCheckpointIO.save_checkpoint = then_kill


def between_the_best_and_the_last_checkpoint() -> None:
    original, renamed = os.replace, []

    def replace(source: Any, target: Any) -> None:
        original(source, target)
        if str(target).endswith("best.ckpt"):
            renamed.append(target)
            if len(renamed) == 2:
                kill_self()

    os.replace = replace


def after_the_last_checkpoint() -> None:
    training.finalize = kill_self


def during_the_comparison_image() -> None:
    def draw_half(net: Any, sets: Any, content: Any, file: BinaryIO) -> None:
        file.write(b"half an image")
        kill_self()

    run_summary.draw_comparison = draw_half


@pytest.mark.parametrize(
    ("settings", "moments"),
    [
        (("precision=32", "data.workers=2"), [between_steps]),
        pytest.param(("precision=bf16", "data.workers=0"), [during_validation], marks=pytest.mark.full),
        pytest.param(
            ("precision=32", "data.workers=0"),
            [
                before_the_first_checkpoint,
                while_a_checkpoint_is_written,
                while_earlier_checkpoints_are_renamed,
                right_after_a_checkpoint,
                between_the_best_and_the_last_checkpoint,
                after_the_last_checkpoint,
                during_the_comparison_image,
            ],
            marks=pytest.mark.full,
        ),
        pytest.param(("precision=bf16", "callbacks.checkpoints.minutes=1e-9"), [between_steps], marks=pytest.mark.full),
    ],
    ids=["2_workers", "bf16", "fp32", "just_after_a_checkpoint_by_time"],
)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_run(
    tiny, tmp_path: Path, settings: tuple[str, ...], moments: list[Callable[[], None]]
) -> None:
    train(tiny(*STEPS, *settings, run="reference"))
    for moment in moments:
        run = moment.__name__

        def train_until_killed(moment: Callable[[], None] = moment, run: str = run) -> None:
            moment()
            train(tiny(*STEPS, *settings, run=run))

        assert code(forked(train_until_killed)) == -signal.SIGKILL
        assert (tmp_path / run / "results.json").exists() == (moment is during_the_comparison_image)
        last = tmp_path / run / "checkpoints/last.ckpt"
        # Resume at once: workers of the killed process may run for seconds and must not disturb the resumed run.
        time.sleep(1.1)  # TensorBoard sorts event files by name, which contains the start time in seconds
        train(tiny(*STEPS, *settings, *([f"ckpt={last}"] if last.exists() else []), run=run))
        assert differing_parts(tmp_path / "reference", tmp_path / run) == [], run


@pytest.mark.full
def test_a_run_without_results_and_earlier_checkpoints_starts_again(
    tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("steps=3", "validations=1", "callbacks.grid=null")
    train(tiny(*settings, run="reference"))
    with monkeypatch.context() as patch:
        patch.setattr(training, "finalize", lambda *rest: {})
        train(tiny(*settings, run="killed"))
    last = f"ckpt={tmp_path}/killed/checkpoints/last.ckpt"
    train(tiny(*settings, last, run="killed"))
    assert "ended without results, and starts again" in caplog.text
    assert differing_parts(tmp_path / "reference", tmp_path / "killed") == []
    # With more steps, results.json is of an earlier step than the last checkpoint.
    longer = (*settings, "steps=4", last)
    with monkeypatch.context() as patch:
        patch.setattr(training, "finalize", lambda *rest: {})
        train(tiny(*longer, run="killed"))
    assert train(tiny(*longer, run="killed"))["step"] == 4
