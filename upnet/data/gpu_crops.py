"""Training crops cut on the GPU: plans of memory addresses (CropPlanDataset), and the images they refer to (GPUStore).

B: crops per batch and process. P: side of an LR crop. s: scale.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from upnet.data.crop_sampler import CropSampler
from upnet.data.store import Store

MAX_MEMORY_FRACTION = 0.5
"""The fraction of a GPU's free memory that images may take; the rest is for the network."""


class CropPlanDataset(Dataset[dict[str, Tensor]]):
    """The crops of the training stream as addresses in `Store.pixels`. index = step.

    An item is {"plan": (B, 2, 3) int64}. plan[:, 0] is LR, plan[:, 1] is HR; the last axis is the index of the crop's
    first byte, and the distances in bytes to the next pixel below and to the next pixel on the right.

    sampler:    the training stream.
    rank:       index of the process.
    world_size: number of processes.
    pin:        return pinned memory. The plans of a block of steps are pinned together, which takes less time.

    Raises UserError if the batch cannot be divided equally among the processes.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves, build_store
    >>> cache = TemporaryDirectory()
    >>> store = build_store(DeadLeaves(count=2, size=64), scale=2, cache_dir=cache.name)
    >>> sampler = CropSampler(store, patch=8, batch_size=4, seed=0, scale=2)
    >>> CropPlanDataset(sampler, rank=0, world_size=1)[10]["plan"].shape
    torch.Size([4, 2, 3])
    """

    def __init__(self, sampler: CropSampler, rank: int, world_size: int, pin: bool = False) -> None:
        self.sampler = sampler
        self.rows = sampler.rank_rows(rank, world_size)
        self.pin = pin
        self._last_block: tuple[int, Tensor] | None = None

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        block, index_in_block = self.sampler.split_step(index)
        if self._last_block is None or self._last_block[0] != block:
            plans = self._plan_block(block)
            self._last_block = block, plans.pin_memory() if self.pin else plans
        return {"plan": self._last_block[1][index_in_block, self.rows]}

    @cached_property
    def _geometry(self) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """For LR and for HR: the offset of each image in the store's bytes, its width, and its scale relative to LR."""
        store = self.sampler.store
        offsets, (heights, widths) = np.array(store.hr_offsets, np.int64), np.array(store.sizes, np.int64).T
        return [(offsets + 3 * heights * widths, widths // store.scale, 1), (offsets, widths, store.scale)]

    def _plan_block(self, block: int) -> Tensor:
        """The plans of all steps of a block and all processes: (steps, crops per batch, 2, 3) int64."""
        image, top, left, orientation = (values.astype(np.int64) for values in self.sampler.draw_block(block))
        addresses = []
        for offsets, widths, scale in self._geometry:
            width = widths[image]
            corner = offsets[image] + 3 * scale * (top * width + left)
            addresses.append(_crop_addresses(corner, width, orientation, scale * self.sampler.patch))
        return torch.from_numpy(np.stack(addresses, axis=-2))


def _crop_addresses(corner: np.ndarray, width: np.ndarray, orientation: np.ndarray, side: int) -> np.ndarray:
    """First byte, distance downwards and distance to the right of crops in the orientations of CropSampler: (…, 3).

    corner:      index of the first byte of the crop's upper left pixel in the image, (…).
    width:       width of the image in pixels, (…).
    orientation: 0..7, (…).
    side:        side of the crop in pixels.
    """
    down, right = 3 * width * np.where(orientation & 1, -1, 1), np.where(orientation & 2, -3, 3)
    first = corner - (side - 1) * (np.minimum(down, 0) + np.minimum(right, 0))
    transposed = orientation & 4 != 0
    return np.stack([first, np.where(transposed, right, down), np.where(transposed, down, right)], axis=-1)


class GPUStore:
    """The images of a store in the memory of a device. Its crops equal those of `CropSampler.batch` bit for bit.

    All batches share one memory block, which a CUDA graph reads: each batch overwrites the previous one.

    store:  the images; they are copied once.
    patch:  side of the LR crops in pixels.
    device: the device that the images are copied to.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves, build_store
    >>> cache = TemporaryDirectory()
    >>> store = build_store(DeadLeaves(count=2, size=64), scale=2, cache_dir=cache.name)
    >>> sampler = CropSampler(store, patch=8, batch_size=4, seed=0, scale=2)
    >>> plan = CropPlanDataset(sampler, rank=0, world_size=1)[10]["plan"]
    >>> batch = GPUStore(store, patch=8, device=torch.device("cpu")).batch(plan)
    >>> torch.equal(batch["hr"], sampler.batch(step=10)["hr"])
    True
    """

    def __init__(self, store: Store, patch: int, device: torch.device) -> None:
        # Copied to writable memory first: torch warns about read-only memory maps.
        self.pixels = torch.from_numpy(np.array(store.pixels)).to(device)
        self.channels = torch.arange(3, device=device)
        self._crops: dict[str, Tensor] = {}
        sides = {"lr": patch, "hr": patch * store.scale}
        self.positions = {name: torch.arange(side, device=device) for name, side in sides.items()}

    def batch(self, plan: Tensor) -> dict[str, Tensor]:
        """The crops of a plan: {"lr": (B, 3, P, P), "hr": (B, 3, s·P, s·P)}, uint8, channels_last.

        plan: (B, 2, 3) int64 on this device, from CropPlanDataset.
        """
        return {name: self._gather(name, *plan[:, part].t()) for part, name in enumerate(self.positions)}

    def _gather(self, name: str, first: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Crops by the index of the first byte, and the distances downwards and to the right.

        (B,) each -> (B, 3, side, side) uint8, channels_last.
        """
        # Few kernels: with a small network, a GPU spends more time on launching kernels than on running them.
        positions = self.positions[name]
        row = torch.addcmul(first.view(-1, 1, 1, 1), down.view(-1, 1, 1, 1), positions.view(-1, 1, 1))
        pixel = torch.addcmul(row, right.view(-1, 1, 1, 1), positions.view(-1, 1))
        shape = (len(first), len(positions), len(positions), 3)
        if name not in self._crops or self._crops[name].shape != shape:
            self._crops[name] = self.pixels.new_empty(shape)
        return torch.take(self.pixels, pixel + self.channels, out=self._crops[name]).permute(0, 3, 1, 2)


def fits_in_memory(store: Store, device: torch.device) -> bool:
    """Whether the images fit into MAX_MEMORY_FRACTION of a GPU's free memory."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.pixels.nbytes <= MAX_MEMORY_FRACTION * free
