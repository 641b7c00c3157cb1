"""Stop a training run whose loss is NaN or infinite."""

import math
from pathlib import Path
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from torch import Tensor

from upnet.utils.errors import RunError
from upnet.utils.run_dirs import LAST


class NonFiniteLossError(RunError):
    """The loss or a weight is NaN or infinite; the message contains the step, its images, and what to try."""


class StopAtNonFiniteLoss(pl.Callback):
    """Raise NonFiniteLossError if a loss or a weight is NaN or infinite, before it is saved.

    every: on a GPU, number of batches whose losses are copied to the CPU together. They are checked when the next ones
           are copied, since the GPU would otherwise wait for Python at every batch. On a CPU every loss is checked at
           once.

    All losses are checked before every validation and before every checkpoint. The error names the first step with a
    non-finite loss. The weights are checked before a validation and before a checkpoint only: a gradient can overflow
    although the loss is finite.

    >>> StopAtNonFiniteLoss(every=20).every
    20
    """

    def __init__(self, every: int = 20) -> None:
        self.every = every
        self._losses: Tensor | None = None
        self._copied: tuple[Tensor, torch.cuda.Event, int] | None = None
        self._batch = -1

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss of the batch: on a CPU at once, on a GPU once per `every` batches."""
        loss = outputs["loss"].detach()
        self._batch = batch_idx
        if loss.device.type != "cuda":
            if not bool(torch.isfinite(loss)):
                self._stop(trainer, "the loss is", batch_idx)
            return
        if self._losses is None:
            self._losses = torch.zeros(self.every, device=loss.device)
        self._losses[batch_idx % self.every] = loss
        if (batch_idx + 1) % self.every == 0:
            self._check_copied(trainer)
            copy = torch.empty(self.every, pin_memory=True).copy_(self._losses, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._copied = copy, event, batch_idx

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check losses and weights before a validation."""
        self._check_all(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check losses and weights before they replace the last good checkpoint."""
        self._check_all(trainer, pl_module)

    def _check_all(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._check_copied(trainer)
        if self._losses is not None:
            self._check(trainer, self._losses.cpu(), self._batch)
        if not all(bool(torch.isfinite(weight).all()) for weight in pl_module.parameters()):
            self._stop(trainer, "the weights are", trainer.global_step * trainer.accumulate_grad_batches - 1)

    def _check_copied(self, trainer: pl.Trainer) -> None:
        """Check the losses that were copied last. The GPU has computed later ones in the meantime."""
        if self._copied is not None:
            losses, event, newest = self._copied
            event.synchronize()
            self._copied = None
            self._check(trainer, losses, newest)

    def _check(self, trainer: pl.Trainer, losses: Tensor, newest: int) -> None:
        """Check the losses of the last `every` batches up to batch `newest`. Batch b is at index b modulo `every`."""
        for batch in range(max(0, newest - self.every + 1), newest + 1):
            if not math.isfinite(losses[batch % self.every].item()):
                self._stop(trainer, "the loss is", batch)

    @staticmethod
    def _stop(trainer: pl.Trainer, subject: str, batch: int) -> NoReturn:
        last = Path(str(getattr(trainer.checkpoint_callback, "dirpath", ""))) / LAST
        saved = last if last.is_file() else "none was saved yet"
        positions = trainer.datamodule.data.sampler().crop_positions(batch)  # pyright: ignore[reportAttributeAccessIssue]
        images = ", ".join(dict.fromkeys(name for name, *_ in positions))
        raise NonFiniteLossError(
            f"{subject} no longer finite at step {batch // trainer.accumulate_grad_batches + 1}, in a batch of "
            f"{images}. The last good checkpoint: {saved}. Try a lower optimizer.lr, "
            "trainer.gradient_clip_val=1, or precision=32"
        )
