"""One bar for the whole training."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch import Tensor


class Progress(TQDMProgressBar):
    """Steps done, time left, loss and the last PSNR. Validation has no bar of its own: it takes seconds.

    The loss is the batch's, read where the bar is drawn anew. `self.log` in the training step would be the usual way to
    it, but books every step's, which takes longer than the whole optimizer where networks are small.
    """

    _loss: Tensor | None = None

    def init_train_tqdm(self) -> Tqdm:
        """Lightning's bar, named for what it counts."""
        bar = super().init_train_tqdm()
        unit = "steps" if self.trainer.accumulate_grad_batches == 1 else "batches"
        bar.bar_format = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} " + unit + ", {remaining} left{postfix}"
        return bar

    def on_train_epoch_start(self, trainer: pl.Trainer, *rest: Any) -> None:
        """There is one long epoch, and nobody needs its number."""
        super().on_train_epoch_start(trainer, *rest)
        self.train_progress_bar.set_description("training")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss, and draw the bar where it is time to."""
        self._loss = outputs["loss"]
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def init_validation_tqdm(self) -> Tqdm:
        """A bar nobody sees."""
        return Tqdm(disable=True)

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Loss and PSNR; the version of the logger's folder is nobody's business here."""
        metrics = super().get_metrics(trainer, pl_module)
        shown: dict[str, int | str | float | dict[str, float]] = {}
        if self._loss is not None:
            # Lightning hands out the share of a step; the loss of the batch is what is meant.
            shown["loss"] = self._loss.item() * trainer.accumulate_grad_batches
        return {**shown, **{name: metrics[name] for name in ("PSNR",) if name in metrics}}
