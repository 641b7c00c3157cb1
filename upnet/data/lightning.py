"""SRDataModule: the LightningDataModule of a training run."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from upnet.data.datasets import (
    CropDataset,
    RankSubset,
    StepSampler,
    StoreDataset,
    TrainLoader,
    ignore_signals,
)
from upnet.data.gpu_crops import CropPlanDataset, GPUStore, fits_in_memory
from upnet.data.sr_data import SRData

UNLIMITED = 1 << 40
"""The number of batches if training has no limit of steps, but a time limit."""


class SRDataModule(pl.LightningDataModule):
    """The loaders of training and validation. Evaluation and inference use SRData, which doesn't import Lightning.

    data: the images of the run.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves
    >>> cache = TemporaryDirectory()
    >>> train = DeadLeaves(count=1, size=64)
    >>> data = SRData(scale=2, batch_size=4, patch=8, train=train, cache_dir=cache.name, steps=10)
    >>> next(iter(SRDataModule(data).train_dataloader()))["hr"].shape
    torch.Size([4, 3, 16, 16])
    """

    def __init__(self, data: SRData) -> None:
        super().__init__()
        self.data = data
        self._gpu_store: GPUStore | None = None

    def setup(self, stage: str) -> None:
        """Decode and check what training needs. Raises UserError as SRData.prepare does."""
        if stage == "fit":
            self.data.prepare(self._rank_and_world_size()[1])

    def train_dataloader(self) -> TrainLoader:
        """The loader of the batches from the trainer's current step to the end of training."""
        rank, world_size = self._rank_and_world_size()
        total = self._total_batches()
        steps = StepSampler(_next_batch(self.trainer, total), total)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        self._gpu_store = self._load_to_gpu(device)
        sampler, pin = self.data.sampler(), device.type == "cuda"
        if self._gpu_store is None:
            dataset = CropDataset(sampler, rank, world_size)
        else:
            dataset = CropPlanDataset(sampler, rank, world_size, pin and self.data.workers == 0)
        return TrainLoader(
            dataset,
            batch_size=None,
            sampler=steps,
            num_workers=self.data.workers,
            worker_init_fn=ignore_signals,
            pin_memory=pin and (self._gpu_store is None or self.data.workers > 0),
            persistent_workers=self.data.workers > 0,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Replace a plan by its crops if the images are on the GPU."""
        return self._gpu_store.batch(batch["plan"]) if self._gpu_store is not None and "plan" in batch else batch

    def val_dataloader(self) -> list[DataLoader[dict[str, Any]]]:
        """One loader of a StoreDataset per validation set. The processes share the images."""
        stores = list(self.data.val_sets().values())
        rank, world_size = self._rank_and_world_size()
        if sum(map(len, stores)) < world_size:
            # Lightning skips validation in a process without images; the others would wait for that process forever.
            rank, world_size = 0, 1
        before = [sum(map(len, stores[:number])) for number in range(len(stores))]
        return [
            DataLoader(StoreDataset(store), batch_size=None, sampler=RankSubset(len(store), start, rank, world_size))
            for store, start in zip(stores, before, strict=True)
        ]

    def _load_to_gpu(self, device: torch.device) -> GPUStore | None:
        """The training images in GPU memory; None if data.device or the free memory doesn't allow it."""
        self.data.check_device(device.type)
        if self.data.device == "cpu" or device.type != "cuda":
            return None
        store = self.data.train_store()
        use_gpu = self.data.device == "gpu" or fits_in_memory(store, device)
        return GPUStore(store, self.data.patch, device) if use_gpu else None

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _total_batches(self) -> int:
        """The number of batches of the complete training; UNLIMITED without a limit of steps."""
        if self.trainer is None:
            return self.data.steps or UNLIMITED
        steps = self.data.steps or self.trainer.max_steps
        return steps * self.trainer.accumulate_grad_batches if steps > 0 else UNLIMITED


def _next_batch(trainer: pl.Trainer | None, total: int) -> int:
    """The index of the next batch: the number of batches that the optimizer steps so far have used.

    A checkpoint written during a batch, or between batches whose gradients are accumulated, doesn't contain those
    gradients. Therefore this function sets the trainer's batch counters back to the last complete step, as in a
    checkpoint that is written at the end of that step's last batch. The later batches are computed again.

    total: number of batches of the complete training.
    """
    if trainer is None:
        return 0
    loop = trainer.fit_loop.epoch_loop
    used = trainer.global_step * trainer.accumulate_grad_batches
    progress = loop.batch_progress.state_dict()
    if (progress["current"]["ready"], progress["current"]["processed"]) != (used, used):
        counts = {"ready": used, "started": used, "processed": used, "completed": max(used - 1, 0)}
        loop.batch_progress.load_state_dict({"total": dict(counts), "current": counts, "is_last_batch": False})
        loop._batches_that_stepped = max(trainer.global_step - 1, 0)
    if used < total:  # a completed training continues if max_steps has been increased
        loop.batch_progress.is_last_batch = False
    return used
