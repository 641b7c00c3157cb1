"""Initial weights that depend on the seed and on a part's own name, and on nothing that is built beside it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_inside: ContextVar[bool] = ContextVar("inside a stream", default=False)


@contextmanager
def apart(name: str) -> Iterator[None]:
    """Draw whatever is built inside from a stream of random numbers of its own.

    Inside another stream, which one it is follows from the seed of that stream and the name, and not from how much was
    drawn there before. So the initial weights of a part of a network stay what they are when another part is exchanged,
    which is what makes the same seed comparable between the arms of a study. Streams nest, and the one outside goes on
    as if nothing had been.

    Outside every stream, where a part is built alone and its name isn't its own, this is `anew`: two parts built one
    after the other have different weights.
    """
    with _stream(name) if _inside.get() else anew(name):
        yield


@contextmanager
def anew(name: str) -> Iterator[None]:
    """The same, from a number drawn outside: built twice in a row, a part is drawn differently each time."""
    number = int(torch.randint(1 << 62, (), device="cpu"))
    with _stream(f"{name} {number}"):
        yield


@contextmanager
def _stream(name: str) -> Iterator[None]:
    key = hashlib.sha256(f"{torch.default_generator.initial_seed()}/{name}".encode()).digest()
    before = _inside.set(True)
    try:
        with torch.random.fork_rng(devices=[]):
            # The CPU's alone, where weights are drawn: torch.manual_seed would move those of GPUs, which aren't forked.
            torch.default_generator.manual_seed(int.from_bytes(key[:8], "big") >> 1)
            yield
    finally:
        _inside.reset(before)


def undrawn() -> bool:
    """Whether parts are being built on the device `meta`, without numbers: their weights are going to come from a file.

    What no file holds is then made on the CPU, and what would have to look at numbers leaves that.
    """
    return torch.get_default_device().type == "meta"
