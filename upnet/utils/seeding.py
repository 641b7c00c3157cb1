"""Random number generators (RNGs) for initial weights, seeded by the global seed and the name of a module.

The initial weights of a module do not change if another module of the network is exchanged. Arms of a study with the
same seed are therefore comparable.
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

    The RNG does not depend on how many numbers the enclosing RNG has generated, and does not change the state of that
    RNG. Contexts can be nested. Outside of any such context, this is fresh_rng(): two modules that are built one after
    the other have different weights.

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
    """As named_rng(), but also seeded by a random number of the enclosing RNG: each call gives different weights.

    >>> from torch import nn
    >>> with fresh_rng("layer"):
    ...     first = nn.Linear(1, 1)
    >>> with fresh_rng("layer"):
    ...     second = nn.Linear(1, 1)
    >>> torch.equal(first.weight, second.weight)
    False
    """
    random_number = int(torch.randint(1 << 62, (), device="cpu"))
    with _seeded_rng(f"{name} {random_number}"):
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
    """Whether modules are built on the device `meta`, without values, since their weights are loaded from a file later.

    Buffers that are not in the file must then be created on the CPU, and code that reads values must be skipped.

    >>> with torch.device("meta"):
    ...     on_meta_device()
    True
    """
    return torch.get_default_device().type == "meta"
