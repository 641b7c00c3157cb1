"""A grid of pictures in TensorBoard at every validation."""

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
    """LR | bicubic | network | HR | error, one row per picture: the same details at every validation.

    pictures: how many of each set, from the front.
    size:     side of the detail in HR pixels; it is cut where bicubic is farthest from HR.

    The error is |network − HR|, four times as bright as it is. A grid that fails is a warning, and no other follows.
    """

    def __init__(self, pictures: Annotated[int, Ge(1)] = 4, size: Annotated[int, Ge(16)] = 128) -> None:
        self.pictures = pictures
        self.size = size
        self._rows: dict[str, list[Tensor]] = {}
        self._works = True

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A new grid."""
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
        """Keep a row of the first pictures."""
        if batch_idx < self.pictures and not trainer.sanity_checking and self._works:
            with optional_output("TensorBoard's grid of pictures") as drawn:
                row = self._row(batch["lr"].cpu(), batch["hr"].cpu(), outputs["output"].cpu())
                self._rows.setdefault(outputs["dataset"], []).append(row)
            self._works = drawn.failure is None

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the grid over."""
        if self._works:
            with optional_output("TensorBoard's grid of pictures") as drawn:
                self._hand_over(trainer)
            self._works = drawn.failure is None
        self._rows = {}

    def _hand_over(self, trainer: pl.Trainer) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for dataset, rows in self._rows.items():
                    grid = torch.cat(rows, dim=1)
                    logger.experiment.add_image(
                        f"{dataset}: LR | bicubic | network | HR | error ×4", grid, trainer.global_step
                    )

    def _row(self, lr: Tensor, hr: Tensor, output: Tensor) -> Tensor:
        """(3, size, 5·size) in [0, 1]."""
        scale = hr.shape[-1] // lr.shape[-1]
        target, enlarged = hr / 255, bicubic(lr, scale).float().clamp(0, 1)
        output = output.clamp(0, 1).expand_as(target)
        nearest = (lr / 255).repeat_interleave(scale, 1).repeat_interleave(scale, 2)
        side = min(self.size, *hr.shape[1:])
        top, left = max_energy_window(enlarged - target, side)
        error = ((output - target).abs() * 4).clamp(0, 1)
        cuts = [
            picture[:, top : top + side, left : left + side] for picture in (nearest, enlarged, output, target, error)
        ]
        row = torch.cat(cuts, dim=2)
        return row if side == self.size else F.interpolate(row[None], size=(self.size, 5 * self.size))[0]
