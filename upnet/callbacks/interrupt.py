"""Ctrl-C: finish the step, save, say how to go on."""

import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl


class SaveAtInterrupt(pl.Callback):
    """At the first Ctrl-C training ends after the step it is in, saved; at the second it breaks off at once.

    A KeyboardInterrupt may come in the middle of an optimizer step and would leave half of the weights updated.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._before: Any = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signal."""
        self.interrupted = False
        self._before = signal.signal(signal.SIGINT, self._hear)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End here, where the weights belong to a whole step."""
        if self.interrupted:
            trainer.should_stop = True
            trainer.fit_loop.epoch_loop.min_steps = None

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        print("\nInterrupted: ending after this step. Once more breaks off at once, without saving.", flush=True)
