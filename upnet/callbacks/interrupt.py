"""Ctrl-C: finish the step, save, say how to go on."""

import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl

AGREE = 10
"""Batches between two times that several processes ask each other whether one was interrupted."""


class SaveAtInterrupt(pl.Callback):
    """At the first Ctrl-C training ends after the step it is in, saved; at the second it breaks off at once.

    A KeyboardInterrupt may come in the middle of an optimizer step and would leave half of the weights updated.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._before: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signal; not before Lightning has noted the handlers that it puts back at the end."""
        self.interrupted = False
        self._before = signal.signal(signal.SIGINT, self._hear)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End here, where the weights belong to a whole step; with several processes, all of them at the same one."""
        if trainer.world_size > 1 and batch_idx % AGREE == 0:
            self.interrupted = trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
            trainer.should_stop = trainer.should_stop or self.interrupted
        elif trainer.world_size == 1 and self.interrupted:
            trainer.should_stop = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signal back."""
        self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the signal back here as well: after an error Lightning tears nothing down."""
        self._give_back()

    def _give_back(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        print("\nInterrupted: ending after this step. Once more breaks off at once, without saving.", flush=True)
