"""checkpoints/last.ckpt and checkpoints/best.ckpt."""

import time
from typing import Annotated, Any

import pytorch_lightning as pl
from annotated_types import Ge, Gt
from pytorch_lightning.callbacks import ModelCheckpoint

from upnet.callbacks.files import CheckpointFiles
from upnet.folders import LAST


class Checkpoints(ModelCheckpoint):
    """After every validation `last.ckpt`, and `best.ckpt` where the validation PSNR is the highest so far.

    folder:  where they go.
    keep:    how many earlier states of last.ckpt stay beside it, as last-1.ckpt, last-2.ckpt and so on.
    minutes: last.ckpt is written between two validations as well, when so much time has passed since the last writing;
             null writes it after validations only.
    """

    def __init__(
        self, folder: str, keep: Annotated[int, Ge(0)] = 2, minutes: Annotated[float, Gt(0)] | None = 10.0
    ) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor="val/psnr",
            mode="max",
            save_top_k=1,
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )
        self.keep = keep
        self.minutes = minutes
        self._saved = time.monotonic()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take over how checkpoints of this trainer are written."""
        super().setup(trainer, pl_module, stage)
        trainer.strategy.checkpoint_io = CheckpointFiles(self.keep)
        self._saved = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """What was logged up to a checkpoint reaches the disk before it, so that a resumed run leaves no gap."""
        for logger in trainer.loggers:
            logger.save()
        self._saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save, where it is time to."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        validated = (batch_idx + 1) % int(trainer.val_check_batch or 1) == 0
        if self.minutes is None or validated or trainer.global_step >= trainer.max_steps:
            return
        whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        due = whole and time.monotonic() - self._saved > self.minutes * 60
        if trainer.world_size > 1 and whole:
            due = trainer.strategy.broadcast(due)
        if due:
            trainer.save_checkpoint(f"{self.dirpath}/{LAST}")
