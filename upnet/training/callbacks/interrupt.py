"""After Ctrl-C or a signal of a scheduler: finish the step, save, and end."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import pytorch_lightning as pl

SYNC_EVERY = 10
"""Batches between two exchanges of several processes about whether one was interrupted."""

# Ctrl-C; what kill, containers and schedulers send; what SLURM's --signal=USR1@60 sends ahead of the time limit.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class SaveAtInterrupt(pl.Callback):
    """At SIGINT (Ctrl-C), SIGTERM or SIGUSR1, end training after the current step and save; a second one ends at once.

    A KeyboardInterrupt may come in the middle of an optimizer step and would leave half of the weights updated.
    `signal` is the number of the signal that was received, 0 if none was.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    @property
    def interrupted(self) -> bool:
        """Whether training was asked to end."""
        return self.signal != 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Store the signal handlers, before Lightning replaces some."""
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the handlers, after Lightning has stored those that it restores at the end."""
        self.signal, self._process = 0, os.getpid()
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop between two steps; several processes stop at the same one."""
        if trainer.world_size > 1:
            if batch_idx % SYNC_EVERY != 0 or not trainer.strategy.reduce_boolean_decision(self.interrupted, all=False):
                return
            self.signal = self.signal or signal.SIGINT
        if self.interrupted and trainer.global_step < trainer.max_steps:
            if (batch_idx + 1) % int(trainer.val_check_batch or 1):
                # Lightning would validate at a stop, also at a step at which the undisturbed run does not.
                trainer.limit_val_batches = 0
            trainer.should_stop = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the handlers."""
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restore the handlers here too: Lightning calls no teardown after an error."""
        self._restore()

    def _restore(self) -> None:
        # Lightning's own handler, left in place, would swallow every later SIGTERM and keep this training in memory.
        for number, handler in self._before.items():
            if handler is not None:  # one that wasn't set from Python can't be put back by it
                signal.signal(number, handler)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a worker that was just forked and does not ignore signals yet; the run receives them too
        if self.interrupted:
            raise KeyboardInterrupt
        self.signal = number
        print(
            "\nInterrupted: training ends after this step. A second signal ends it at once, without saving.",
            file=sys.stderr,
            flush=True,
        )
