"""A small cache for what an operator computes once per input size."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """The values of the last few keys, such as the matrices for an axis of some length.

    entries: maximum number of values; the oldest is dropped first. Training uses a few sizes again and again, while a
             folder of images of many sizes must not fill the memory.

    Copies and pickles are empty, so that neither an EMA copy nor a saved operator contains matrices.

    >>> cache = Cache(entries=2)
    >>> cache.get("a", lambda: 1), cache.get("a", lambda: 2)
    (1, 1)
    """

    def __init__(self, entries: int = 16) -> None:
        self.entries = entries
        self._values: dict[Hashable, Value] = {}

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of the key, computed on the first call."""
        if key not in self._values:
            while len(self._values) >= self.entries:
                self._values.pop(next(iter(self._values)))
            # A tensor created in inference mode could not be used in training later.
            with torch.inference_mode(False):
                self._values[key] = compute()
        return self._values[key]

    def __reduce__(self) -> tuple[type["Cache[Value]"], tuple[int]]:
        return type(self), (self.entries,)
