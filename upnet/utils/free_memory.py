"""The memory that is free on the CPU, and errors that report exhausted memory."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from upnet.utils.allocator import malloc_trim

USABLE_FRACTION = 0.8
"""Fraction of the free memory that may be used: other processes need some, and allocators round up."""
_OOM_MESSAGES = ("out of memory", "allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
"""Phrases in the errors of CUDA, of torch's CPU allocator and of libraries."""


def has_free(needed: int) -> bool:
    """Whether `needed` bytes are free on the CPU, or the free memory is unknown.

    >>> has_free(0)
    True
    """
    free = available_bytes()
    if free is not None and needed > USABLE_FRACTION * free:
        malloc_trim()
        free = available_bytes()
    return free is None or needed <= USABLE_FRACTION * free


def available_bytes() -> int | None:
    """The bytes that this process may still allocate on the CPU; None if the system doesn't report them.

    >>> available_bytes() != 0
    True
    """
    limits = [limit() for limit in (_free_in_machine, _free_in_cgroup, _free_addresses)]
    return min((free for free in limits if free is not None), default=None)


def is_oom(error: Exception) -> bool:
    """Whether an error reports that memory is exhausted, on a CPU or a GPU.

    >>> is_oom(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), is_oom(RuntimeError("shape mismatch"))
    (True, False)
    """
    return isinstance(error, MemoryError) or any(message in str(error) for message in _OOM_MESSAGES)


def _free_in_machine() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_in_cgroup() -> int | None:
    """The free memory within the limits of the control groups (version 1 and 2), which containers use."""
    free: list[int] = []
    for folder, limit_file, used_file, cache_key in _cgroups():
        with suppress(OSError, ValueError):  # no such group, or no limit: "max"
            limit, used = int((folder / limit_file).read_text()), int((folder / used_file).read_text())
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            free.append(max(0, limit - used + int(statistics.get(cache_key, 0))))
    return min(free, default=None)


def _cgroups() -> Iterator[tuple[Path, str, str, str]]:
    """Folder, file of the limit, file of the usage, and key of the reclaimable cache in memory.stat."""
    root = Path("/sys/fs/cgroup")
    yield root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                group = root / line[3:].lstrip("/")
                for folder in (group, *group.parents):
                    if folder.is_relative_to(root):
                        yield folder, "memory.max", "memory.current", "inactive_file"


def _free_addresses() -> int | None:
    """The free memory within the limit on the address space, `ulimit -v`."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return max(0, soft - pages * resource.getpagesize())
    return None
