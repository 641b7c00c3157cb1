"""Memory that is given back only to be asked for again, and memory that is kept for sizes that never come again."""

import ctypes
import os
import sys
from typing import Any

# From malloc.h of the GNU C library.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

TRAINING_KERNELS, INFERENCE_KERNELS = 256, 64
"""How many kernels to keep where a network is trained, and where pictures of all sizes go through one."""

_DESCRIPTIONS = 16
"""How many descriptions of kernels to keep of every kind; with 8 as with 256 a step takes as long."""


def retain_malloc_blocks() -> bool:
    """Tell the C library to keep the large blocks it is given back; whether it could be told.

    By default the GNU C library hands every large block back to the kernel, and every training step pays for touching
    the same pages anew. Kept, they make operators that only move memory several times as fast on a CPU, at the price
    of a process that holds on to its peak until `malloc_trim`. Elsewhere, and on a GPU, which has an allocator of its
    own, nothing happens.

    Source: the manual page of mallopt, https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    library = _library("mallopt")
    if library is None:
        return False
    return bool(library.mallopt(MMAP_THRESHOLD, 1 << 30) and library.mallopt(TRIM_THRESHOLD, (1 << 31) - 1))


def malloc_trim() -> bool:
    """Hand what lies free in the C library back to the kernel, where large blocks are kept; whether there was any.

    Ten milliseconds at the end of a training, for a process that goes on: a study's next cell, or a notebook.

    Source: the manual page of malloc_trim, https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    library = _library("malloc_trim")
    return library is not None and bool(library.malloc_trim(0))


def limit_onednn_cache(most: int) -> None:
    """Have oneDNN, which computes torch's convolutions on a CPU, keep at most so many of the kernels it has made.

    It makes one per layer and size of the input, keeps 1024, and each holds memory in proportion to the size: a folder
    of pictures of mixed sizes took six MB more with every picture, and some gigabytes in the end. What torch puts
    between the two keeps another 1024 descriptions of every kind, which took 40 KB more with every picture, and needs
    next to none of them. A step of training, which makes the same kernels again and again, needs up to a hundred and
    more of them, a picture twenty. What the environment says, as ONEDNN_PRIMITIVE_CACHE_CAPACITY and
    LRU_CACHE_CAPACITY, stays; once torch has computed a convolution it is too late.

    Source: https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html, and computation_cache of
    https://github.com/intel/ideep
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(most))
    os.environ.setdefault("LRU_CACHE_CAPACITY", str(_DESCRIPTIONS))


def _library(function: str) -> Any:
    """The C library where it is known to have a function of that name, else None."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, function) else None
