"""Memory that is given back only to be asked for again."""

import ctypes
import sys

# From malloc.h of the GNU C library.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


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
