"""Ctrl-C, or a signal of the machine's scheduler: finish the step, save, say how to go on."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import pytorch_lightning as pl

AGREE = 10
"""Batches between two times that several processes ask each other whether one was interrupted."""

# Ctrl-C; what kill, containers and schedulers send; what SLURM's --signal=USR1@60 sends ahead of the time limit.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class SaveAtInterrupt(pl.Callback):
    """At SIGINT (Ctrl-C), SIGTERM or SIGUSR1 training ends after the step it is in, to be saved; again breaks off.

    A KeyboardInterrupt may come in the middle of an optimizer step and would leave half of the weights updated.
    `signal` is the number of the signal that came, 0 as long as none did.
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
        """Note who hears the signals, before Lightning listens to some itself."""
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals; not before Lightning has noted the handlers that it puts back at the end."""
        self.signal, self._process = 0, os.getpid()
        for number in SIGNALS:
            signal.signal(number, self._hear)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End here, where the weights belong to a whole step; with several processes, all of them at the same one."""
        if trainer.world_size > 1:
            if batch_idx % AGREE != 0 or not trainer.strategy.reduce_boolean_decision(self.interrupted, all=False):
                return
            self.signal = self.signal or signal.SIGINT
        if self.interrupted and trainer.global_step < trainer.max_steps:
            if (batch_idx + 1) % int(trainer.val_check_batch or 1):
                # Lightning would validate at a stop, also at a step at which the undisturbed run does not.
                trainer.limit_val_batches = 0
            trainer.should_stop = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the signals back here as well: after an error Lightning tears nothing down."""
        self._give_back()

    def _give_back(self) -> None:
        # Lightning's own handler, left in place, would swallow every later SIGTERM and keep this training in memory.
        for number, handler in self._before.items():
            if handler is not None:  # one that wasn't set from Python can't be put back by it
                signal.signal(number, handler)
        self._before = {}

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return  # a worker just forked, which has yet to turn a deaf ear to signals: the run hears them
        if self.interrupted:
            raise KeyboardInterrupt
        self.signal = number
        print(
            "\nInterrupted: ending after this step. Once more breaks off at once, without saving.",
            file=sys.stderr,
            flush=True,
        )
