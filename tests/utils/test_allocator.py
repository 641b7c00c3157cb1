"""Allocator settings work with glibc and oneDNN, and do nothing elsewhere."""

import json
import os
import platform
import subprocess
import sys
import types

import pytest
import torch
from support import ROOT

from upnet.utils.allocator import INFERENCE_KERNELS, malloc_trim, retain_malloc_blocks

MEASURE = """
import ctypes, json, resource, sys
import torch
from upnet.utils.allocator import limit_onednn_cache, malloc_trim, retain_malloc_blocks

capacity = int(sys.argv[1])
if capacity:
    limit_onednn_cache(capacity)


def page_faults():
    # Of the last of several allocations of 64 MiB, which reuses the pages of the one before it.
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(1 << 24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


class Mallinfo(ctypes.Structure):
    # https://man7.org/linux/man-pages/man3/mallinfo.3.html
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
    )]


def allocated():
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    return mallinfo().uordblks / 2**20


layer = torch.nn.Conv2d(16, 16, 3).to(memory_format=torch.channels_last).requires_grad_(False)


def convolve(heights):
    for height in heights:
        for width in range(40, 65):
            layer(torch.zeros(1, 16, height, width).to(memory_format=torch.channels_last))


found = {"faults": page_faults(), "retained": retain_malloc_blocks(), "faults_retained": page_faults()}
block = torch.ones(1 << 26)
behind = torch.ones(1 << 20)  # keeps the block from the end of the heap, which is trimmed at every free()
full = resident()
del block
freed = resident()
malloc_trim()
found |= {"returned_by_free": full - freed, "returned_by_trim": freed - resident()}
convolve(range(60, 64))
before = allocated()
convolve(range(64, 70))
found["grown"] = allocated() - before
with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON_CREATION):
    convolve(range(60, 61))
print(json.dumps(found))
"""
"""Page faults, resident memory and allocated memory in MiB, and whether a kernel is still in the cache 250 sizes later.
argv: the capacity of the kernel cache; 0 for the default."""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


def measure(capacity: int) -> tuple[dict[str, float], str]:
    """The measurements of a new process, since neither setting can be undone, and oneDNN's log."""
    unlimited = {key: value for key, value in os.environ.items() if not key.endswith("CACHE_CAPACITY")}
    command = [sys.executable, "-c", MEASURE, str(capacity)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=unlimited, cwd=ROOT)
    *log, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(log)


@pytest.fixture(scope="module")
def limited() -> tuple[dict[str, float], str]:
    return measure(INFERENCE_KERNELS)


@glibc
def test_retained_block_causes_no_page_faults(limited: tuple[dict[str, float], str]) -> None:
    found, _ = limited
    assert found["retained"] is True
    assert found["faults_retained"] < 0.1 * found["faults"]


@glibc
def test_retained_memory_is_returned_by_malloc_trim_only(limited: tuple[dict[str, float], str]) -> None:
    found, _ = limited
    assert found["returned_by_free"] < 1
    assert found["returned_by_trim"] > 255


@glibc
@onednn
def test_images_of_many_sizes_need_no_more_memory(limited: tuple[dict[str, float], str]) -> None:
    assert limited[0]["grown"] < 1


def cached(log: str) -> set[bool]:
    """Whether the kernels of a log come from the cache."""
    return {"cache_hit" in line for line in log.splitlines() if "create:cache_" in line and ",convolution," in line}


@onednn
def test_onednn_cache_is_limited(limited: tuple[dict[str, float], str]) -> None:
    assert cached(limited[1]) == {False}


@onednn
@pytest.mark.full
def test_onednn_cache_holds_all_sizes_by_default() -> None:
    found, log = measure(0)
    assert cached(log) == {True}
    assert found["grown"] > 4


def test_c_library_without_mallopt_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace())
    assert retain_malloc_blocks() is False
    assert malloc_trim() is False


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_no_library_is_opened_on_other_systems(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("opened"))
    assert retain_malloc_blocks() is False
    assert malloc_trim() is False
