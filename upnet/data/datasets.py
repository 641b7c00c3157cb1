"""Datasets and samplers for torch's loaders: the training stream by step, and the images of a set one by one.

B: crops per batch and process. P: side of an LR crop. s: scale.
"""

import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from upnet.data.crop_sampler import CropSampler
from upnet.data.store import Store


class CropDataset(Dataset[dict[str, Tensor]]):
    """The training stream. An item is a complete batch: index = step.

    An item is {"lr": (B, 3, P, P), "hr": (B, 3, s·P, s·P)}, uint8.
    """

    def __init__(self, sampler: CropSampler, rank: int, world_size: int) -> None:
        self.sampler = sampler
        self.rank = rank
        self.world_size = world_size

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.sampler.batch(index, self.rank, self.world_size)


class CropPlanDataset(Dataset[dict[str, Tensor]]):
    """The training stream as addresses, for crops that are cut on the GPU. An item is {"plan": (B, 2, 3) int64}.

    pin: return pinned memory. All plans of a block are pinned together, which takes less time.
    """

    def __init__(self, sampler: CropSampler, rank: int, world_size: int, pin: bool = False) -> None:
        self.sampler = sampler
        self.rows = sampler.rank_rows(rank, world_size)
        self.pin = pin
        self._block: tuple[int, Tensor] | None = None

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        block, within = self.sampler.block(index)
        if self._block is None or self._block[0] != block:
            plans = self.sampler.block_plans(block)
            self._block = block, plans.pin_memory() if self.pin else plans
        return {"plan": self._block[1][within, self.rows]}


class StepSampler(Sampler[int]):
    """start, start + 1, …, total − 1. Its length is total: Lightning also counts the steps before start.

    >>> list(StepSampler(3, 6)), len(StepSampler(3, 6))
    ([3, 4, 5], 6)
    """

    def __init__(self, start: int, total: int) -> None:
        self.start = start
        self.total = total

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.total))


class TrainLoader(DataLoader[dict[str, Tensor]]):
    """The loader of the training stream. It has no state: its position is the trainer's step.

    wait_seconds: the total time in which training waited for a batch.
    """

    wait_seconds = 0.0

    def __iter__(self) -> Iterator[dict[str, Tensor]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The batches; the time spent in waiting for each is added to `wait_seconds`."""
        if self.num_workers:
            batches = super().__iter__()
        else:  # without torch's overhead for fetching and collating
            batches = map(self.dataset.__getitem__, self.sampler)
            if self.pin_memory:
                batches = ({name: part.pin_memory() for name, part in batch.items()} for batch in batches)
        while True:
            start = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            finally:
                self.wait_seconds += time.perf_counter() - start
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Empty. Lightning recognises a loader that can be resumed by this method."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""


def ignore_signals(worker: int) -> None:
    """Let a worker process ignore SIGINT, SIGTERM and SIGUSR1; for `worker_init_fn`.

    A terminal sends Ctrl-C, and a scheduler its signals, to all processes of a run. The training process handles them:
    it saves a checkpoint and needs batches until then. Workers end with it.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class RankSubset(Sampler[int]):
    """The images of one set that a process validates. The images of all sets are distributed in turn.

    images: number of images of the set.
    before: number of images of the sets before it.

    >>> [list(RankSubset(images=5, before=1, rank=rank, world_size=2)) for rank in (0, 1)]
    [[1, 3], [0, 2, 4]]
    """

    def __init__(self, images: int, before: int, rank: int, world_size: int) -> None:
        self.indices = [index for index in range(images) if (before + index) % world_size == rank]

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


class StoreDataset(Dataset[dict[str, Any]]):
    """The images of a store.

    An item is {"name": str, "lr": (3, h, w) uint8, "hr": (3, H, W) uint8, "index": int, "grey": bool}. "grey": the
    image has a single channel, which is repeated three times.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        lr, hr = _channels_first(self.store.lr(index)), _channels_first(self.store.hr(index))
        return {"name": self.store.names[index], "lr": lr, "hr": hr, "index": index, "grey": self.store.grey[index]}


def _channels_first(image: np.ndarray) -> Tensor:
    """A contiguous copy of (H, W, 3) as (3, H, W)."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
