"""What an operator makes once for a size and keeps."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import torch

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """The values made for the last few keys, such as the matrices of an axis of some length.

    entries: how many are kept; the oldest goes first. A few sizes recur in training, while a folder of images of many
             sizes must not fill the memory.

    Copies and pickles are empty, so that neither an average of weights nor a saved operator carries matrices along.
    """

    def __init__(self, entries: int = 16) -> None:
        self.entries = entries
        self._known: dict[Hashable, Value] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of the key; made where it isn't known."""
        if key not in self._known:
            while len(self._known) >= self.entries:
                self._known.pop(next(iter(self._known)))
            # Kept from a validation in inference mode, a matrix has to serve training too.
            with torch.inference_mode(False):
                self._known[key] = make()
        return self._known[key]

    def __reduce__(self) -> tuple[type["Cache[Value]"], tuple[int]]:
        return type(self), (self.entries,)
