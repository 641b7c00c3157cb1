"""Log loss, learning rate, gradient norm and speed during a training run."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer


class Scalars(pl.Callback):
    """Log scalars every `log_every_n_steps` steps of the Trainer.

    - `train/loss`: loss of the last batch of the step
    - `train/learning_rate`: learning rate of the first parameter group
    - `train/gradient_norm`: L2 norm of the gradient before clipping
    - `train/images_per_second`: LR crops per second, summed over all processes, without the time of validations
    - `train/data_share`: fraction of that time in which the training waited for a batch, in [0, 1]

    >>> Scalars().recordable
    True
    """

    recordable = True
    """Whether the optimizer step can be a CUDA graph although this callback runs within it: RecordedStep computes the
    gradient norm itself."""

    def __init__(self) -> None:
        self._images = 0
        self._started_at = 0.0
        self._wait_before = 0.0
        self._norm: torch.Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the measurement of the speed."""
        self._restart(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart the measurement, since the time of a validation does not count."""
        self._restart(trainer)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Compute the gradient norm if the step is logged."""
        if self._due(trainer, trainer.global_step + 1):
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self._norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the scalars if they are due."""
        self._images += len(batch["lr"]) * trainer.world_size
        ends_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not ends_step or not self._due(trainer, trainer.global_step):
            return
        recorder: Any = pl_module.recorder
        norm = recorder.gradient_norm if self._norm is None else self._norm
        if norm is None:
            return
        scalars = {
            # Lightning divides the loss by the number of accumulated batches.
            "train/loss": outputs["loss"].item() * trainer.accumulate_grad_batches,
            "train/learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train/gradient_norm": norm.item(),
        }
        # Measured after the values above are read, which waits for the GPU: it may be many steps behind Python.
        seconds = time.perf_counter() - self._started_at
        if self._images:
            scalars["train/images_per_second"] = self._images / seconds
            scalars["train/data_share"] = (seconds_waited(trainer) - self._wait_before) / seconds
        for logger in trainer.loggers:
            logger.log_metrics(scalars, trainer.global_step)
        self._norm = None
        self._restart(trainer)

    def _restart(self, trainer: pl.Trainer) -> None:
        self._images, self._started_at, self._wait_before = 0, time.perf_counter(), seconds_waited(trainer)

    @staticmethod
    def _due(trainer: pl.Trainer, step: int) -> bool:
        every = getattr(trainer, "log_every_n_steps", 50)
        return every > 0 and step % every == 0


def seconds_waited(trainer: pl.Trainer) -> float:
    """Seconds that the training has waited for batches so far; 0 if the data loader does not measure them."""
    return float(getattr(trainer.train_dataloader, "wait_seconds", 0.0))
