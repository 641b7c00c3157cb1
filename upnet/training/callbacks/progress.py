"""Show the progress of a training run: a progress bar on a terminal, lines of text in a file."""

import sys
import time
from typing import Annotated, Any

import pytorch_lightning as pl
from annotated_types import Ge
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch import Tensor

LINES = 20
"""Number of lines in a file, evenly distributed over the training."""

SECONDS = 600
"""Longest time in seconds between two lines."""

REFRESH_SECONDS = 0.1
"""Shortest time in seconds between two refreshes of the bar, since reading the loss makes Python wait for a GPU."""


class Progress(TQDMProgressBar):
    """Show steps, remaining time, loss and the last validation PSNR. Validation has no progress bar: it takes seconds.

    refresh_rate: batches between two refreshes of the bar, of which there are at most ten per second; 0: no bar.

    The loss is that of the current batch, read at a refresh. `self.log` in the training step would process the loss of
    every step, which is slow for small networks.

    >>> Progress(refresh_rate=5).refresh_rate
    5
    """

    def __init__(self, refresh_rate: Annotated[int, Ge(0)] = 10) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._loss: Tensor | None = None
        self._prints_lines = False
        self._first_batch = 0
        self._started_at = self._printed_at = self._drawn_at = 0.0

    @property
    def total_train_batches(self) -> int | float:
        """All batches of the training. Lightning's count excludes those before the first batch of a resumed run."""
        return self.trainer.num_training_batches

    def init_train_tqdm(self) -> Tqdm:
        """Lightning's progress bar, labelled with steps or batches; disabled where lines are printed."""
        self._first_batch = self.trainer.global_step * self.trainer.accumulate_grad_batches
        self._started_at = self._printed_at = time.monotonic()
        self._prints_lines = not sys.stdout.isatty()
        if self._prints_lines:
            return Tqdm(disable=True)
        bar = super().init_train_tqdm()
        bar.bar_format = self._format("{percentage:3.0f}% |{bar}| ")
        # Lightning sets these at the start of an epoch, which a resumed run does not have.
        bar.total, bar.initial, bar.n = self.total_train_batches, self._first_batch, self._first_batch
        bar.set_description("training")
        return bar

    def on_train_epoch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        """Hide the epoch number: a training run is one epoch."""
        super().on_train_epoch_start(trainer, *rest)
        self.train_progress_bar.set_description("training")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Store the loss; refresh the bar or print a line if it is due."""
        self._loss = outputs["loss"]
        if not self._prints_lines:
            now = time.monotonic()
            at_refresh = (batch_idx + 1) % (self.refresh_rate or 1) == 0
            if (at_refresh and now - self._drawn_at >= REFRESH_SECONDS) or trainer.is_last_batch:
                super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
                self._drawn_at = now
        elif self.is_enabled and self._due(batch_idx + 1):
            self._printed_at = time.monotonic()
            print(self._line(batch_idx + 1, self.get_metrics(trainer, pl_module)), flush=True)

    def init_validation_tqdm(self) -> Tqdm:
        """A disabled bar: validation has none."""
        return Tqdm(disable=True)

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Loss and PSNR, without Lightning's version number of the logger."""
        metrics = super().get_metrics(trainer, pl_module)
        values: dict[str, int | str | float | dict[str, float]] = {}
        if self._loss is not None:
            # Lightning divides the loss by the number of accumulated batches.
            values["loss"] = self._loss.item() * trainer.accumulate_grad_batches
        return {**values, **{name: metrics[name] for name in ("PSNR",) if name in metrics}}

    def _format(self, percentage: str) -> str:
        unit = "steps" if self.trainer.accumulate_grad_batches == 1 else "batches"
        return "{desc}" + percentage + "{n_fmt}/{total_fmt} " + unit + ", {remaining} left{postfix}"

    def _due(self, batches: int) -> bool:
        """Whether a line is due after this number of batches."""
        total = self.total_train_batches
        next_line = batches * LINES // total > (batches - 1) * LINES // total
        return next_line or time.monotonic() - self._printed_at > SECONDS

    def _line(self, batches: int, metrics: dict[str, Any]) -> str:
        return Tqdm.format_meter(
            batches,
            self.total_train_batches,
            time.monotonic() - self._started_at,
            prefix="training: ",
            bar_format=self._format("{percentage:3.0f}% "),
            postfix=", ".join(f"{name}={Tqdm.format_num(value)}" for name, value in metrics.items()),
            initial=self._first_batch,
        )
