"""SRDataModule: the LightningDataModule of a run; and GPUStore, which cuts training crops on the GPU."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from upnet.data.datasets import (
    CropDataset,
    CropPlanDataset,
    RankSubset,
    StepSampler,
    StoreDataset,
    TrainLoader,
    ignore_signals,
)
from upnet.data.sr_data import SRData
from upnet.data.store import Store

MAX_MEMORY_FRACTION = 0.5
"""The fraction of a GPU's free memory that images may take; the rest is for the network."""


class GPUStore:
    """A store in the memory of a device. Its crops are equal to those of `CropSampler.batch`, bit for bit.

    All batches share one memory block, which a CUDA graph reads: the next batch overwrites the previous one.

    store:  the images; they are copied once.
    patch:  side of the LR crops in pixels.
    device: the device that the images are copied to.
    """

    def __init__(self, store: Store, patch: int, device: torch.device) -> None:
        # Copied to writable memory first: torch warns about read-only memory maps.
        self.pixels = torch.from_numpy(np.array(store.pixels)).to(device)
        self.channels = torch.arange(3, device=device)
        self._crops: dict[str, Tensor] = {}
        self.positions = {
            name: torch.arange(side, device=device) for name, side in (("lr", patch), ("hr", patch * store.scale))
        }

    def batch(self, plan: Tensor) -> dict[str, Tensor]:
        """The crops of a plan: {"lr": (B, 3, P, P), "hr": (B, 3, s·P, s·P)}, uint8, channels_last.

        plan: (B, 2, 3) int64 on this device, from `CropSampler.plan`.
        """
        return {name: self._cut(name, *plan[:, part].t()) for part, name in enumerate(self.positions)}

    def _cut(self, name: str, first: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """(B,) each -> (B, 3, side, side) uint8, channels_last."""
        # Few kernels: with a small network, a GPU spends more time on launching kernels than on running them.
        positions = self.positions[name]
        row = torch.addcmul(first.view(-1, 1, 1, 1), down.view(-1, 1, 1, 1), positions.view(-1, 1, 1))
        pixel = torch.addcmul(row, right.view(-1, 1, 1, 1), positions.view(-1, 1))
        shape = (len(first), len(positions), len(positions), 3)
        if name not in self._crops or self._crops[name].shape != shape:
            self._crops[name] = self.pixels.new_empty(shape)
        return torch.take(self.pixels, pixel + self.channels, out=self._crops[name]).permute(0, 3, 1, 2)


def fits(store: Store, device: torch.device) -> bool:
    """Whether the images fit into MAX_MEMORY_FRACTION of a GPU's free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.pixels.nbytes <= MAX_MEMORY_FRACTION * free


UNLIMITED = 1 << 40
"""The number of batches of a training that only a time limit ends."""


class SRDataModule(pl.LightningDataModule):
    """The loaders of a run. Evaluation and inference use SRData, which doesn't import Lightning.

    data: the images of the run.
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
        """The batches from the trainer's current step to the end of training."""
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
        """Replace a plan by its crops, if the images are on the GPU."""
        return self._gpu_store.batch(batch["plan"]) if self._gpu_store is not None and "plan" in batch else batch

    def val_dataloader(self) -> list[DataLoader[dict[str, Any]]]:
        """One loader of a StoreDataset per validation set. The images are distributed among the processes."""
        stores = list(self.data.val_sets().values())
        rank, world_size = self._rank_and_world_size()
        if sum(map(len, stores)) < world_size:
            # Lightning skips a validation without images, and all other processes would wait for that process forever.
            rank, world_size = 0, 1
        before = [sum(map(len, stores[:number])) for number in range(len(stores))]
        return [
            DataLoader(StoreDataset(store), batch_size=None, sampler=RankSubset(len(store), start, rank, world_size))
            for store, start in zip(stores, before, strict=True)
        ]

    def _load_to_gpu(self, device: torch.device) -> GPUStore | None:
        """The training images on the GPU; None if data.device or the memory doesn't allow it."""
        self.data.check_device(device.type)
        if self.data.device == "cpu" or device.type != "cuda":
            return None
        store = self.data.train_store()
        return GPUStore(store, self.data.patch, device) if self.data.device == "gpu" or fits(store, device) else None

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _total_batches(self) -> int:
        """The number of batches of the complete training."""
        if self.trainer is None:
            return self.data.steps or UNLIMITED
        steps = self.data.steps or self.trainer.max_steps
        return steps * self.trainer.accumulate_grad_batches if steps > 0 else UNLIMITED


def _next_batch(trainer: pl.Trainer | None, total: int) -> int:
    """The index of the next batch: the number of batches that the optimizer steps so far have used.

    A checkpoint written during a batch, or between batches whose gradients are accumulated, doesn't contain those
    gradients. The trainer's batch counters are set back to the last complete step, as in a checkpoint that is written
    at the end of that step's last batch; the later batches are computed again.
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
    if used < total:  # a finished training continues if max_steps was increased
        loop.batch_progress.is_last_batch = False
    return used
