"""How long a cell will take on this machine: a few real steps and a validation, timed."""

import statistics
import time
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

from upnet.config import build
from upnet.data import SRData, SRDataModule
from upnet.study.plan import Seconds
from upnet.training.factory import accelerator_of, build_task, build_trainer
from upnet.utils.allocator import retain_malloc_blocks

ON_CPU, ON_GPU = (3, 7), (8, 40)
"""Steps before the measured ones, and the measured ones. A GPU's steps are short, and are recorded early on."""


class _Clock(pl.Callback):
    """When every step began and ended, and how long validation took."""

    def __init__(self) -> None:
        self.begin = 0.0
        self.ends: list[float] = []
        self.validation = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation -= time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validation += time.perf_counter()


def rehearse(config: DictConfig) -> Seconds:
    """Seconds per step, the median of some after a warm-up, per validation, and per cell; nothing is written.

    Of each validation set one picture is scored, and its time multiplied by how many times as many pixels the set has.
    """
    started = time.perf_counter()
    if config.keep_memory:
        retain_malloc_blocks()
    warmup, measured = ON_CPU if accelerator_of(config) == "cpu" else ON_GPU
    with open_dict(config):
        config.steps = warmup + measured
        config.validations = 1
        config.callbacks = {}
        config.logger = None
        config.trainer.max_steps = config.steps
    OmegaConf.update(config, "trainer.log_every_n_steps", 10**9, force_add=True)
    data = build(config.data)
    assert isinstance(data, SRData)
    model = OmegaConf.to_container(config.model)
    assert isinstance(model, dict)
    task = build_task(config, {str(key): value for key, value in model.items()}, {})
    trainer, clock = build_trainer(config), _Clock()
    trainer.limit_val_batches = 1
    trainer.callbacks.append(clock)  # pyright: ignore[reportAttributeAccessIssue]
    trainer.fit(task, datamodule=SRDataModule(data))
    per_step = config.trainer.accumulate_grad_batches
    steps = clock.ends[per_step - 1 :: per_step]
    durations = [later - earlier for earlier, later in zip(steps[warmup - 1 :], steps[warmup:], strict=False)]
    stores = data.val_sets().values()
    pixels = [[height * width for height, width in store.sizes] for store in stores]
    share = sum(map(sum, pixels)) / sum(one[0] for one in pixels)
    beside = clock.begin - started
    return Seconds(round(statistics.median(durations), 5), round(clock.validation * share, 3), round(beside, 3))
