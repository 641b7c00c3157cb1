"""What torch's loaders read: the training stream by step, and the pictures of a set one by one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.data import Sampler as Order

from upnet.data.sampler import Sampler
from upnet.data.store import Store


class Stream(Dataset[dict[str, Tensor]]):
    """The training stream as a dataset whose index is the step: one item is one whole batch."""

    def __init__(self, sampler: Sampler, rank: int, world: int) -> None:
        self.sampler = sampler
        self.rank = rank
        self.world = world

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.sampler.batch(index, self.rank, self.world)


class StepOrder(Order[int]):
    """start, start + 1, …, total − 1. Its length is the total, since Lightning counts what was done before as well."""

    def __init__(self, start: int, total: int) -> None:
        self.start = start
        self.total = total

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.total))


class StreamLoader(DataLoader[dict[str, Tensor]]):
    """A loader with nothing to remember: where it stands is the trainer's step. By these methods Lightning knows."""

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""


class Pictures(Dataset[dict[str, Any]]):
    """A set's pictures: {"name": str, "lr": (3, h, w) uint8, "hr": (3, H, W) uint8, "index": int}."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        lr, hr = _planes(self.store.lr(index)), _planes(self.store.hr(index))
        return {"name": self.store.names[index], "lr": lr, "hr": hr, "index": index}


def _planes(picture: np.ndarray) -> Tensor:
    """A copy of (H, W, 3) as (3, H, W)."""
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))
