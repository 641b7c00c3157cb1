"""Log scalars while training runs."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer


class Scalars(pl.Callback):
    """Log loss, learning rate, gradient norm and speed every `log_every_n_steps` of the Trainer.

    The gradient norm is taken before gradients are clipped. Images per second counts LR crops of all processes, without
    validation; data_share is the fraction of that time in which training waited for a batch.
    """

    recordable = True  # a recorded step measures its gradients itself

    def __init__(self) -> None:
        self._images = 0
        self._since = 0.0
        self._waited = 0.0
        self._norm: torch.Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._restart(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart the clock: the time of validation does not count."""
        self._restart(trainer)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Compute the gradient norm of steps that are logged."""
        if self._due(trainer, trainer.global_step + 1):
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self._norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log if it is due."""
        self._images += len(batch["lr"]) * trainer.world_size
        whole_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not whole_step or not self._due(trainer, trainer.global_step):
            return
        recorder: Any = pl_module.recorder
        norm = recorder.gradient_norm if self._norm is None else self._norm
        if norm is None:
            return
        scalars = {
            # Lightning hands out the share of a step; the loss of the batch is what is meant.
            "train/loss": outputs["loss"].item() * trainer.accumulate_grad_batches,
            "train/learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train/gradient_norm": norm.item(),
        }
        # Read after the numbers above, which wait for the device: a GPU may be many steps behind Python.
        passed = time.perf_counter() - self._since
        if self._images:
            scalars["train/images_per_second"] = self._images / passed
            scalars["train/data_share"] = (seconds_waited(trainer) - self._waited) / passed
        for logger in trainer.loggers:
            logger.log_metrics(scalars, trainer.global_step)
        self._norm = None
        self._restart(trainer)

    def _restart(self, trainer: pl.Trainer) -> None:
        self._images, self._since, self._waited = 0, time.perf_counter(), seconds_waited(trainer)

    @staticmethod
    def _due(trainer: pl.Trainer, step: int) -> bool:
        every = getattr(trainer, "log_every_n_steps", 50)
        return every > 0 and step % every == 0


def seconds_waited(trainer: pl.Trainer) -> float:
    """Seconds in which training has waited for batches so far; 0 if its loader does not count them."""
    return float(getattr(trainer.train_dataloader, "wait_seconds", 0.0))
