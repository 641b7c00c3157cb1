"""Datasets, samplers and the loader: batches of the training stream, and the images of an evaluation set.

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
    """The training stream. index = step; an item is a complete batch.

    An item is {"lr": (B, 3, P, P), "hr": (B, 3, s·P, s·P)}, uint8.

    sampler:    the training stream.
    rank:       index of the process.
    world_size: number of processes.
    """

    def __init__(self, sampler: CropSampler, rank: int, world_size: int) -> None:
        self.sampler = sampler
        self.rank = rank
        self.world_size = world_size

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.sampler.batch(index, self.rank, self.world_size)


class StepSampler(Sampler[int]):
    """The steps start, start + 1, …, total − 1. Its length is total: Lightning counts the steps before start as well.

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

    wait_seconds: the total time that training has waited for batches.
    """

    wait_seconds = 0.0

    def __iter__(self) -> Iterator[dict[str, Tensor]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The batches. The time until each of them is available is added to `wait_seconds`."""
        if self.num_workers:
            batches = super().__iter__()
        else:  # avoids torch's overhead for fetching and collating
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
        """Empty. Lightning treats a loader with this method as resumable."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""


def ignore_signals(worker: int) -> None:
    """Ignore SIGINT, SIGTERM and SIGUSR1 in a worker process; for `worker_init_fn`.

    A terminal sends Ctrl-C, and a scheduler its signals, to all processes of a run. The training process handles them
    by saving a checkpoint, and needs batches until then. The workers end when the training process ends.

    worker: index of the worker process; ignored.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class RankSubset(Sampler[int]):
    """The indices of the images of one validation set that one process validates.

    The images of all sets are assigned to the processes in turn, so that their numbers differ by at most one.

    images:     number of images of the set.
    before:     number of images of all earlier sets.
    rank:       index of the process.
    world_size: number of processes.

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
    """The pairs of LR and HR images of a store.

    An item is {"name": str, "lr": (3, h, w) uint8, "hr": (3, H, W) uint8, "index": int, "grey": bool}. "grey" means
    that the three channels are equal.

    store: the images.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves, build_store
    >>> cache = TemporaryDirectory()
    >>> store = build_store(DeadLeaves(count=2, size=64), scale=2, cache_dir=cache.name)
    >>> StoreDataset(store)[1]["lr"].shape
    torch.Size([3, 32, 32])
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
    """(H, W, 3) as a contiguous copy (3, H, W)."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
