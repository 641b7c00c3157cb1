"""What torch's loaders read: the training stream by step, and the images of a set one by one."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import Sampler as Order

from upnet.data.crop_sampler import CropSampler
from upnet.data.store import Store


class CropDataset(Dataset[dict[str, Tensor]]):
    """The training stream as a dataset whose index is the step: one item is one whole batch."""

    def __init__(self, sampler: CropSampler, rank: int, world_size: int) -> None:
        self.sampler = sampler
        self.rank = rank
        self.world_size = world_size

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.sampler.batch(index, self.rank, self.world_size)


class CropPlanDataset(Dataset[dict[str, Tensor]]):
    """The training stream as numbers, {"plan": (B, 2, 3) int64}, for crops that a GPU cuts.

    pin: whether they are in pinned memory. All plans of a block are pinned together, which takes less time.
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


class StepSampler(Order[int]):
    """start, start + 1, …, total − 1. Its length is the total, since Lightning counts what was done before as well."""

    def __init__(self, start: int, total: int) -> None:
        self.start = start
        self.total = total

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.total))


class TrainLoader(DataLoader[dict[str, Tensor]]):
    """A loader with nothing to remember: where it stands is the trainer's step. By its methods Lightning knows.

    `wait_seconds` counts the seconds in which training wait_seconds for a batch.
    """

    wait_seconds = 0.0

    def __iter__(self) -> Iterator[dict[str, Tensor]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The batches, and on the way the clock."""
        if self.num_workers:
            batches = super().__iter__()
        else:  # torch's own way there takes a third of the time of a batch
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
        """Empty."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""


def ignore_signals(worker: int) -> None:
    """In a worker: ignore what asks training to end, which saves first and needs batches until then.

    A terminal sends Ctrl-C, and a scheduler its signals, to every process of a run. Workers end with their parent.
    """
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class RankSubset(Order[int]):
    """The images of one set that fall to one process, where the images of several sets are dealt out in orientation.

    images: of the set; before: of the sets that come before it.
    """

    def __init__(self, images: int, before: int, rank: int, world_size: int) -> None:
        self.mine = [index for index in range(images) if (before + index) % world_size == rank]

    def __len__(self) -> int:
        return len(self.mine)

    def __iter__(self) -> Iterator[int]:
        return iter(self.mine)


class StoreDataset(Dataset[dict[str, Any]]):
    """A set's images: {"name": str, "lr": (3, h, w) uint8, "hr": (3, H, W) uint8, "index": int, "grey": bool}.

    "grey" tells images of a single channel, which is repeated here.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        lr, hr = _planes(self.store.lr(index)), _planes(self.store.hr(index))
        return {"name": self.store.names[index], "lr": lr, "hr": hr, "index": index, "grey": self.store.grey[index]}


def _planes(image: np.ndarray) -> Tensor:
    """A copy of (H, W, 3) as (3, H, W)."""
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
