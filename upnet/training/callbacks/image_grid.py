"""A grid of images in TensorBoard at every validation."""

from typing import Annotated, Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from annotated_types import Ge
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from upnet.evaluation.figures import max_energy_window
from upnet.evaluation.optional_output import optional_output
from upnet.metrics import bicubic


class ImageGrid(pl.Callback):
    """Log crops of LR | bicubic | network | HR | error, one row per image: the same crops at every validation.

    images: number of images of each validation set, from its beginning.
    size:   side of the crops in HR pixels. A crop is taken where bicubic interpolation differs most from HR.

    The error is 4 · |network − HR|. If a grid fails, a warning is logged, and no other grid is drawn.

    >>> ImageGrid(images=2, size=64).images
    2
    """

    def __init__(self, images: Annotated[int, Ge(1)] = 4, size: Annotated[int, Ge(16)] = 128) -> None:
        self.images = images
        self.size = size
        self._rows: dict[str, list[Tensor]] = {}
        self._enabled = True

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start a new grid."""
        self._rows = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a row for one of the first images."""
        if batch_idx < self.images and not trainer.sanity_checking and self._enabled:
            with optional_output("TensorBoard's grid of images") as status:
                row = self._row(batch["lr"].cpu(), batch["hr"].cpu(), outputs["output"].cpu())
                self._rows.setdefault(outputs["dataset"], []).append(row)
            self._enabled = status.failure is None

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the grid."""
        if self._enabled:
            with optional_output("TensorBoard's grid of images") as status:
                self._log(trainer)
            self._enabled = status.failure is None
        self._rows = {}

    def _log(self, trainer: pl.Trainer) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for dataset, rows in self._rows.items():
                    grid = torch.cat(rows, dim=1)
                    logger.experiment.add_image(
                        f"{dataset}: LR | bicubic | network | HR | error ×4", grid, trainer.global_step
                    )

    def _row(self, lr: Tensor, hr: Tensor, output: Tensor) -> Tensor:
        """One row of the grid, (3, size, 5·size) in [0, 1].

        lr, hr: (3, h, w) and (3, H, W) uint8.
        output: of the network, (3, H, W) or (1, H, W) in about [0, 1].
        """
        scale = hr.shape[-1] // lr.shape[-1]
        target, interpolated = hr / 255, bicubic(lr, scale).float().clamp(0, 1)
        output = output.clamp(0, 1).expand_as(target)
        nearest = (lr / 255).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        side = min(self.size, *hr.shape[1:])
        top, left = max_energy_window(interpolated - target, side)
        error = ((output - target).abs() * 4).clamp(0, 1)
        columns = (nearest, interpolated, output, target, error)
        row = torch.cat([image[:, top : top + side, left : left + side] for image in columns], dim=2)
        return row if side == self.size else F.interpolate(row[None], size=(self.size, 5 * self.size))[0]
