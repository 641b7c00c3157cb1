"""Finish the current step, save and stop after Ctrl-C or a signal of a job scheduler."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import pytorch_lightning as pl

SYNC_EVERY = 10
"""With several processes: batches between two checks whether one of them received a signal."""

# Ctrl-C; the signal of kill, containers and schedulers; the signal of SLURM's --signal=USR1@60 before the time limit.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class SaveAtInterrupt(pl.Callback):
    """Stop the training after the current step at SIGINT (Ctrl-C), SIGTERM or SIGUSR1; stop at once at a second one.

    signal: the number of the signal that was received, 0 if none was.

    Python's own handler would raise KeyboardInterrupt at once, possibly within an optimizer step that has updated only
    some of the weights.

    >>> SaveAtInterrupt().interrupted
    False
    """

    def __init__(self) -> None:
        self.signal = 0
        self._previous_handlers: dict[int, Any] = {}
        self._pid = os.getpid()

    @property
    def interrupted(self) -> bool:
        """Whether a signal was received."""
        return self.signal != 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Store the signal handlers before Lightning replaces some of them."""
        self._previous_handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the handlers, after Lightning has stored the handlers that it restores at the end."""
        self.signal, self._pid = 0, os.getpid()
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop between two steps. Several processes stop after the same step."""
        if trainer.world_size > 1:
            if batch_idx % SYNC_EVERY != 0 or not trainer.strategy.reduce_boolean_decision(self.interrupted, all=False):
                return
            self.signal = self.signal or signal.SIGINT
        if self.interrupted and trainer.global_step < trainer.max_steps:
            if (batch_idx + 1) % int(trainer.val_check_batch or 1):
                # Lightning validates at a stop, also at a step where the uninterrupted run would not.
                trainer.limit_val_batches = 0
            trainer.should_stop = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the handlers."""
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restore the handlers. Lightning does not call teardown after an error."""
        self._restore()

    def _restore(self) -> None:
        # Otherwise Lightning's handler would ignore every later SIGTERM and keep this training run in memory.
        for number, handler in self._previous_handlers.items():
            if handler is not None:  # None: it was not set by Python, which cannot restore it
                signal.signal(number, handler)
        self._previous_handlers = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            return  # a data worker that does not ignore signals yet; the main process receives them, too
        if self.interrupted:
            raise KeyboardInterrupt
        self.signal = number
        print(
            "\nInterrupted: training ends after this step. A second signal ends it at once, without saving.",
            file=sys.stderr,
            flush=True,
        )
