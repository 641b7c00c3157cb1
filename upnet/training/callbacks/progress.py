"""Show the progress of a training: a bar on a terminal, lines in a file."""

import sys
import time
from typing import Annotated, Any

import pytorch_lightning as pl
from annotated_types import Ge
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch import Tensor

LINES = 20
"""Lines that a file gets, spread evenly over a training."""
SECONDS = 600
"""Seconds without a line after which another one is printed."""
SECONDS_BETWEEN_DRAWINGS = 0.1


class Progress(TQDMProgressBar):
    """Show steps, time left, loss and the last validation PSNR. Validation has no bar: it takes seconds.

    refresh_rate: batches between two refreshes of the bar; 0 draws none. It is drawn ten times a second at most, since
                  reading the loss makes Python wait for a GPU.

    The loss is the batch's, read where the bar is drawn anew. `self.log` in the training step would be the usual way to
    it, but books every step's, which takes longer than the whole optimizer where networks are small.
    """

    def __init__(self, refresh_rate: Annotated[int, Ge(0)] = 10) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._loss: Tensor | None = None
        self._lines = False
        self._first = 0
        self._started = self._printed = self._drawn = 0.0

    @property
    def total_train_batches(self) -> int | float:
        """All batches of the training: Lightning's own count misses those before a resumed run's first one."""
        return self.trainer.num_training_batches

    def init_train_tqdm(self) -> Tqdm:
        """Lightning's bar, named for what it counts; hidden where lines are printed instead."""
        self._first = self.trainer.global_step * self.trainer.accumulate_grad_batches
        self._started = self._printed = time.monotonic()
        self._lines = not sys.stdout.isatty()
        if self._lines:
            return Tqdm(disable=True)
        bar = super().init_train_tqdm()
        bar.bar_format = self._format("{percentage:3.0f}% |{bar}| ")
        # A resumed run has no start of an epoch, where Lightning sets these.
        bar.total, bar.initial, bar.n = self.total_train_batches, self._first, self._first
        bar.set_description("training")
        return bar

    def on_train_epoch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        """Leave out the number of the epoch: a training is one epoch."""
        super().on_train_epoch_start(trainer, *rest)
        self.train_progress_bar.set_description("training")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss; draw the bar or print a line if it is time to."""
        self._loss = outputs["loss"]
        if not self._lines:
            now = time.monotonic()
            counted = (batch_idx + 1) % (self.refresh_rate or 1) == 0
            if (counted and now - self._drawn >= SECONDS_BETWEEN_DRAWINGS) or trainer.is_last_batch:
                super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
                self._drawn = now
        elif self.is_enabled and self._due(batch_idx + 1):
            self._printed = time.monotonic()
            print(self._line(batch_idx + 1, self.get_metrics(trainer, pl_module)), flush=True)

    def init_validation_tqdm(self) -> Tqdm:
        """No bar for validation."""
        return Tqdm(disable=True)

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Loss and PSNR, without the version number of the logger."""
        metrics = super().get_metrics(trainer, pl_module)
        shown: dict[str, int | str | float | dict[str, float]] = {}
        if self._loss is not None:
            # Lightning hands out the share of a step; the loss of the batch is what is meant.
            shown["loss"] = self._loss.item() * trainer.accumulate_grad_batches
        return {**shown, **{name: metrics[name] for name in ("PSNR",) if name in metrics}}

    def _format(self, share: str) -> str:
        unit = "steps" if self.trainer.accumulate_grad_batches == 1 else "batches"
        return "{desc}" + share + "{n_fmt}/{total_fmt} " + unit + ", {remaining} left{postfix}"

    def _due(self, done: int) -> bool:
        """Whether a line is due after so many batches."""
        total = self.total_train_batches
        return done * LINES // total > (done - 1) * LINES // total or time.monotonic() - self._printed > SECONDS

    def _line(self, done: int, metrics: dict[str, Any]) -> str:
        return Tqdm.format_meter(
            done,
            self.total_train_batches,
            time.monotonic() - self._started,
            prefix="training: ",
            bar_format=self._format("{percentage:3.0f}% "),
            postfix=", ".join(f"{name}={Tqdm.format_num(value)}" for name, value in metrics.items()),
            initial=self._first,
        )
