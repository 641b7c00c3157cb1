"""Memory that is given back only to be asked for again, and memory that is kept for sizes that never come again."""

import ctypes
import os
import sys

# From malloc.h of the GNU C library.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3

OF_TRAINING, OF_PICTURES = 256, 64
"""How many kernels to keep where a network is trained, and where pictures of all sizes go through one."""


def keep_large_blocks() -> bool:
    """Tell the C library to keep the large blocks it is given back; whether it could be told.

    By default the GNU C library hands every large block back to the kernel, and every training step pays for touching
    the same pages anew. Kept, they make operators that only move memory several times as fast on a CPU, at the price
    of a process that holds on to its peak. Elsewhere, and on a GPU, which has an allocator of its own, nothing happens.

    Source: the manual page of mallopt, https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(MMAP_THRESHOLD, 1 << 30) and library.mallopt(TRIM_THRESHOLD, (1 << 31) - 1))


def keep_few_kernels(most: int) -> None:
    """Have oneDNN, which computes torch's convolutions on a CPU, keep at most so many of the kernels it has made.

    It makes one per layer and size of the input, keeps 1024, and each holds memory in proportion to the size: a folder
    of pictures of mixed sizes took six MB more with every picture, and some gigabytes in the end. A step of training,
    which makes the same kernels again and again, needs up to a hundred and more of them, a picture twenty. What the
    environment says, as ONEDNN_PRIMITIVE_CACHE_CAPACITY, stays; once torch has computed a convolution it is too late.

    Source: https://uxlfoundation.github.io/oneDNN/dev_guide_primitive_cache.html
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(most))
