"""One thread for what is made of many small steps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in the calling thread alone, and in threads that are started inside, and restore it afterwards.

    Matrix products that fit a core's cache gain little from being split, and on a busy machine each waits for the last
    of its threads to be scheduled: hundreds of them can take fifty times as long. torch keeps this setting per thread,
    so that threads that are already running do not notice.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
