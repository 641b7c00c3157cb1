"""Settings for memory on the CPU: the C library's malloc, and the kernel cache of oneDNN."""

import ctypes
import os
import sys
from typing import Any

# Constants of mallopt, from malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3

TRAINING_KERNELS, INFERENCE_KERNELS = 256, 64
"""Capacities for `limit_onednn_cache`: training repeats its input sizes, inference sees images of many sizes."""

_DESCRIPTOR_CAPACITY = 16
"""Cached descriptors per kind of kernel."""


def retain_malloc_blocks() -> bool:
    """Make malloc keep large freed blocks instead of returning them to the operating system.

    By default glibc returns every large block, and each training step causes page faults on new pages, which slow down
    memory-bound operators. With this setting the process keeps its peak memory until `malloc_trim`.

    Returns whether the setting is in effect: only glibc has it. GPU memory is not affected.

    Source: man page of mallopt, https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    library = _c_library("mallopt")
    if library is None:
        return False
    return bool(library.mallopt(_MMAP_THRESHOLD, 1 << 30) and library.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1))


def malloc_trim() -> bool:
    """Return free malloc memory to the operating system. Does nothing without glibc.

    Returns whether any memory was returned. Useful after training in a process that continues, such as a notebook or
    the cells of a study.

    Source: man page of malloc_trim, https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    library = _c_library("malloc_trim")
    return library is not None and bool(library.malloc_trim(0))


def limit_onednn_cache(capacity: int) -> None:
    """Limit the number of kernels that oneDNN, the CPU backend of torch's convolutions, keeps in its cache.

    oneDNN creates one kernel per layer and input size and caches 1024 by default. The memory of a cached kernel grows
    with the image size, so that images of many sizes would fill gigabytes. The descriptor cache between torch and
    oneDNN is limited as well.

    Existing values of the environment variables ONEDNN_PRIMITIVE_CACHE_CAPACITY and LRU_CACHE_CAPACITY have priority.
    The call has no effect after the first convolution of the process.

    Source: https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html, and computation_cache of
    https://github.com/intel/ideep

    >>> limit_onednn_cache(INFERENCE_KERNELS)
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(capacity))
    os.environ.setdefault("LRU_CACHE_CAPACITY", str(_DESCRIPTOR_CAPACITY))


def _c_library(function: str) -> Any:
    """The C library if it has the function, else None."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
    except OSError:  # a statically linked Python
        return None
    return library if hasattr(library, function) else None
