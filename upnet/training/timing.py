"""Estimate the duration of a training run on this machine from a few real steps and one validation."""

import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl
import torch

from upnet.config import build
from upnet.config.schema import TrainSettings
from upnet.data import SRData, SRDataModule
from upnet.training.factory import build_task
from upnet.training.trainer import build_trainer, select_accelerator
from upnet.utils.allocator import retain_malloc_blocks

ON_CPU, ON_GPU = (3, 7), (8, 40)
"""Warm-up steps and measured steps. On a GPU, steps are short, and a CUDA graph is recorded in the first ones."""


@dataclass(frozen=True)
class TrainingTime:
    """Seconds per optimizer step, per validation, and before the first step."""

    step: float
    validation: float
    setup: float


class _Stopwatch(pl.Callback):
    """Records when training began, when every batch ended, and the duration of validation."""

    def __init__(self) -> None:
        self.begin = 0.0
        self.batch_ends: list[float] = []
        self.validation = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.batch_ends.append(time.perf_counter())

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation -= time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation += time.perf_counter()


def time_training(settings: TrainSettings) -> TrainingTime:
    """Measure the time of a training run by a few steps and one validation. No file is written.

    The time per step is the median after the warm-up steps. One image of each validation set is evaluated; its time is
    multiplied by the ratio of the pixels of all images to the pixels of the evaluated ones.
    """
    started = time.perf_counter()
    if settings.keep_memory:
        retain_malloc_blocks()
    warmup, measured = ON_CPU if select_accelerator(settings) == "cpu" else ON_GPU
    steps = warmup + measured
    trainer_node = {**settings.trainer, "max_steps": steps, "log_every_n_steps": 10**9}
    settings = replace(settings, steps=steps, validations=1, callbacks={}, logger=None, trainer=trainer_node)
    data = build(settings.data, "data")
    assert isinstance(data, SRData)
    task = build_task(settings)
    trainer, stopwatch = build_trainer(settings), _Stopwatch()
    trainer.limit_val_batches = 1
    trainer.callbacks.append(stopwatch)  # pyright: ignore[reportAttributeAccessIssue]
    trainer.fit(task, datamodule=SRDataModule(data))
    batches_per_step = trainer.accumulate_grad_batches
    ends = stopwatch.batch_ends[batches_per_step - 1 :: batches_per_step]
    durations = [end - begin for begin, end in zip(ends[warmup - 1 :], ends[warmup:], strict=False)]
    pixels = [[height * width for height, width in store.sizes] for store in data.val_sets().values()]
    ratio = sum(map(sum, pixels)) / sum(sizes[0] for sizes in pixels)
    return TrainingTime(
        step=round(statistics.median(durations), 5),
        validation=round(stopwatch.validation * ratio, 3),
        setup=round(stopwatch.begin - started, 3),
    )
