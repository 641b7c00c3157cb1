"""What Lightning asks of the images of a run: loaders for the stage at hand, and crops that a GPU cuts itself."""

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

SHARE = 0.5
"""Of a GPU's free memory, what images may take; the rest is the network's."""


class GPUStore:
    """A whole store in the memory of a device. Crops come out as `CropSampler.batch` cuts them, bit for bit.

    All batches are cut into the same memory, where a recorded step reads them: a batch is overwritten by the next one.

    store:  the images, copied once.
    patch:  side of the LR crops in pixels.
    device: where they go.
    """

    def __init__(self, store: Store, patch: int, device: torch.device) -> None:
        # A copy by way of ordinary memory: torch warns about maps that can't be written to.
        self.pixels = torch.from_numpy(np.array(store.pixels)).to(device)
        self.channel = torch.arange(3, device=device)
        self._crops: dict[str, Tensor] = {}
        self.steps = {
            name: torch.arange(side, device=device) for name, side in (("lr", patch), ("hr", patch * store.scale))
        }

    def batch(self, plan: Tensor) -> dict[str, Tensor]:
        """The crops of a plan, (B, 2, 3) int64 on this device as `CropSampler.plan` makes it.

        A small network leaves a GPU waiting for the next kernel, so these are few.
        """
        return {name: self._cut(name, *plan[:, part].t()) for part, name in enumerate(self.steps)}

    def _cut(self, name: str, first: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """(B,) each -> (B, 3, side, side) uint8, channels_last."""
        steps = self.steps[name]
        row = torch.addcmul(first.view(-1, 1, 1, 1), down.view(-1, 1, 1, 1), steps.view(-1, 1, 1))
        pixel = torch.addcmul(row, right.view(-1, 1, 1, 1), steps.view(-1, 1))
        shape = (len(first), len(steps), len(steps), 3)
        if name not in self._crops or self._crops[name].shape != shape:
            self._crops[name] = self.pixels.new_empty(shape)
        return torch.take(self.pixels, pixel + self.channel, out=self._crops[name]).permute(0, 3, 1, 2)


def fits(store: Store, device: torch.device) -> bool:
    """Whether the images take no more than their share of a GPU's free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.pixels.nbytes <= SHARE * free


ENDLESS = 1 << 40
"""Batches of an epoch that nothing but the clock ends."""


class SRDataModule(pl.LightningDataModule):
    """A run's images for Lightning. It stands apart so that scoring and upscaling start without importing Lightning.

    data: the images.
    """

    def __init__(self, data: SRData) -> None:
        super().__init__()
        self.data = data
        self._resident: GPUStore | None = None

    def setup(self, stage: str) -> None:
        """Decode what training needs, and check it. Raises ValueError as SRData.prepare does."""
        if stage == "fit":
            self.data.prepare(self._share()[1])

    def train_dataloader(self) -> TrainLoader:
        """The batches from the trainer's current step to the end of training."""
        rank, world_size = self._share()
        total = self._batches()
        order = StepSampler(_resume(self.trainer, total), total)
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        self._resident = self._reside(device)
        sampler, pin = self.data.sampler(), device.type == "cuda"
        if self._resident is None:
            stream = CropDataset(sampler, rank, world_size)
        else:
            stream = CropPlanDataset(sampler, rank, world_size, pin and self.data.workers == 0)
        return TrainLoader(
            stream,
            batch_size=None,
            sampler=order,
            num_workers=self.data.workers,
            worker_init_fn=ignore_signals,
            pin_memory=pin and (self._resident is None or self.data.workers > 0),
            persistent_workers=self.data.workers > 0,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Cut the crops that a plan tells of, where the images lie on the GPU."""
        return self._resident.batch(batch["plan"]) if self._resident is not None and "plan" in batch else batch

    def val_dataloader(self) -> list[DataLoader[dict[str, Any]]]:
        """One loader per validation set, image by image: see StoreDataset. Several processes share the images out."""
        stores = list(self.data.val_sets().values())
        rank, world_size = self._share()
        if sum(map(len, stores)) < world_size:
            # Lightning skips a validation without images, and the others would wait for that process for ever.
            rank, world_size = 0, 1
        before = [sum(map(len, stores[:number])) for number in range(len(stores))]
        return [
            _images(store, RankSubset(len(store), start, rank, world_size))
            for store, start in zip(stores, before, strict=True)
        ]

    def _reside(self, device: torch.device) -> GPUStore | None:
        """The training images on the GPU that trains, where they shall be and can be."""
        self.data.check_device(device.type)
        if self.data.device == "cpu" or device.type != "cuda":
            return None
        store = self.data.train_store()
        return GPUStore(store, self.data.patch, device) if self.data.device == "gpu" or fits(store, device) else None

    def _share(self) -> tuple[int, int]:
        """This process's rank, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _batches(self) -> int:
        """How many batches the whole training takes."""
        if self.trainer is None:
            return self.data.steps or ENDLESS
        steps = self.data.steps or self.trainer.max_steps
        return steps * self.trainer.accumulate_grad_batches if steps > 0 else ENDLESS


def _images(store: Store, order: RankSubset | None = None) -> DataLoader[dict[str, Any]]:
    return DataLoader(StoreDataset(store), batch_size=None, sampler=order)


def _resume(trainer: pl.Trainer | None, total: int) -> int:
    """The batch to go on with: as many as the optimizer steps done so far have used up.

    A checkpoint written in the middle of a batch, or between the batches whose gradients are accumulated, has lost
    those gradients. The trainer's count of batches is set back to the last whole step, so that they are made again; it
    becomes what a checkpoint written at the end of that step's last batch would have held.
    """
    if trainer is None:
        return 0
    loop = trainer.fit_loop.epoch_loop
    done = trainer.global_step * trainer.accumulate_grad_batches
    counted = loop.batch_progress.state_dict()
    if (counted["current"]["ready"], counted["current"]["processed"]) != (done, done):
        counts = {"ready": done, "started": done, "processed": done, "completed": max(done - 1, 0)}
        loop.batch_progress.load_state_dict({"total": dict(counts), "current": counts, "is_last_batch": False})
        loop._batches_that_stepped = max(trainer.global_step - 1, 0)
    if done < total:  # a finished training goes on where max_steps was raised
        loop.batch_progress.is_last_batch = False
    return done
