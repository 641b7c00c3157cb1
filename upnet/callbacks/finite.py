"""Stop a training whose loss is no number any more."""

from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from torch import Tensor

from upnet.folders import LAST


class NonFiniteLossError(RuntimeError):
    """The loss, or the weights, became NaN or infinite; the message says at which step, and what to go on with."""


class StopAtNonFiniteLoss(pl.Callback):
    """Raise NonFiniteLossError as soon as a loss is NaN or infinite, before anything of it is saved.

    On a GPU looking at each loss would make every step wait, so it is looked at every `every` steps there, before every
    validation and before anything is saved; the step named is the first one all the same. The weights are looked at
    before a validation and a saving alone: a step may lose them by a gradient whose loss is fine.
    """

    def __init__(self, every: int = 20) -> None:
        self.every = every
        self._first: Tensor | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the first bad batch, and look."""
        loss = outputs["loss"].detach()
        if self._first is None:
            self._first = torch.full((), torch.iinfo(torch.int64).max, device=loss.device)
        fine = torch.isfinite(loss)
        self._first = torch.minimum(self._first, torch.where(fine, self._first, batch_idx))
        if loss.device.type == "cpu" or (batch_idx + 1) % self.every == 0 or trainer.is_last_batch:
            self._look(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nobody wants the scores of lost weights."""
        self._look_at_all(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Lost weights must not take the place of good ones."""
        self._look_at_all(trainer, pl_module)

    def _look_at_all(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer)
        if not all(bool(torch.isfinite(weight).all()) for weight in pl_module.parameters()):
            self._stop(trainer, "the weights are", trainer.global_step * trainer.accumulate_grad_batches - 1)

    def _look(self, trainer: pl.Trainer) -> None:
        if self._first is not None and (batch := int(self._first)) != torch.iinfo(torch.int64).max:
            self._stop(trainer, "the loss is", batch)

    @staticmethod
    def _stop(trainer: pl.Trainer, what: str, batch: int) -> NoReturn:
        last = Path(str(getattr(trainer.checkpoint_callback, "dirpath", ""))) / LAST
        saved = last if last.is_file() else "none was saved yet"
        origin = trainer.datamodule.data.sampler().origin(batch)  # pyright: ignore[reportAttributeAccessIssue]
        pictures = ", ".join(dict.fromkeys(name for name, *_ in origin))
        raise NonFiniteLossError(
            f"{what} no longer finite at step {batch // trainer.accumulate_grad_batches + 1}, in a batch of "
            f"{pictures}. The last good checkpoint: {saved}. Try a lower optimizer.lr, "
            "trainer.gradient_clip_val=1, or precision=32"
        )
