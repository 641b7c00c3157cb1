"""Random number generators (RNGs) for initial weights, seeded by the global seed and the name of a module.

The initial weights of a module then don't change when another module of the network is exchanged, which makes equal
seeds comparable between the arms of a study.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_in_rng: ContextVar[bool] = ContextVar("inside fresh_rng() or named_rng()", default=False)


@contextmanager
def named_rng(name: str) -> Iterator[None]:
    """Initialise modules built in this context from an RNG seeded by (seed of the enclosing RNG, name).

    It doesn't depend on how many numbers the enclosing RNG has generated, and leaves that RNG as it was. Contexts nest.
    Outside of any such context, where a module is built alone, this is fresh_rng(): two modules built one after the
    other have different weights.

    >>> from torch import nn
    >>> with fresh_rng("network"):
    ...     with named_rng("tail"):
    ...         first = nn.Linear(1, 1)
    ...     with named_rng("tail"):
    ...         second = nn.Linear(1, 1)
    >>> torch.equal(first.weight, second.weight)
    True
    """
    with _seeded_rng(name) if _in_rng.get() else fresh_rng(name):
        yield


@contextmanager
def fresh_rng(name: str) -> Iterator[None]:
    """As named_rng(), but also seeded by a number from the enclosing RNG: each call gives different weights."""
    number = int(torch.randint(1 << 62, (), device="cpu"))
    with _seeded_rng(f"{name} {number}"):
        yield


@contextmanager
def _seeded_rng(name: str) -> Iterator[None]:
    key = hashlib.sha256(f"{torch.default_generator.initial_seed()}/{name}".encode()).digest()
    token = _in_rng.set(True)
    try:
        with torch.random.fork_rng(devices=[]):
            # Weights are initialised on the CPU. torch.manual_seed would also seed the GPUs, which are not forked.
            torch.default_generator.manual_seed(int.from_bytes(key[:8], "big") >> 1)
            yield
    finally:
        _in_rng.reset(token)


def on_meta_device() -> bool:
    """Whether modules are built on the device `meta`, without values, to load their weights from a file afterwards.

    Buffers that no file contains must then be created on the CPU, and code that reads values must be skipped.

    >>> with torch.device("meta"):
    ...     on_meta_device()
    True
    """
    return torch.get_default_device().type == "meta"
