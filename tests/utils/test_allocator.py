"""Allocator settings work with glibc and oneDNN, and do nothing elsewhere."""

import os
import platform
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from upnet.utils.allocator import INFERENCE_KERNELS, malloc_trim, retain_malloc_blocks

# Page faults of a block of 64 MiB, asked for again and again: a few times until it fits where it lay before.
FAULTS = """
import resource, torch
from upnet.utils.allocator import retain_malloc_blocks

def faults():
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(1 << 24)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return after - before

print(faults(), retain_malloc_blocks(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_a_retained_block_causes_no_page_faults() -> None:
    # In a new process: the setting cannot be undone.
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    by_default, succeeded, kept = run.stdout.split()
    assert succeeded == "True"
    assert int(kept) < 0.1 * int(by_default)


def test_a_c_library_without_mallopt_such_as_musl_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace())
    assert retain_malloc_blocks() is False
    assert malloc_trim() is False


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_on_other_systems_no_library_is_opened(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("opened"))
    assert retain_malloc_blocks() is False
    assert malloc_trim() is False


# The resident memory in MiB with a block of 256 MiB, after it is let go, and after what lies free was given back. One
# block behind it stays, without which the library would give it back by itself.
GIVEN_BACK = """
import torch
from upnet.utils.allocator import malloc_trim, retain_malloc_blocks

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

retain_malloc_blocks()
block = torch.ones(1 << 26)
behind = torch.ones(1 << 20)
full = resident()
del block
kept = resident()
malloc_trim()
print(full - kept, kept - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_retained_memory_can_be_trimmed() -> None:
    run = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=True)
    by_itself, given = map(float, run.stdout.split())
    assert by_itself < 1
    assert given > 255


def unlimited() -> dict[str, str]:
    """The environment without what limits kernels: a training in this process may have set it."""
    return {key: value for key, value in os.environ.items() if not key.endswith("CACHE_CAPACITY")}


# Whether a kernel is there still, twenty sizes later.
KERNELS = """
import sys, torch
from upnet.utils.allocator import limit_onednn_cache

if sys.argv[1:]:
    limit_onednn_cache(int(sys.argv[1]))
layer = torch.nn.Conv2d(16, 16, 3).requires_grad_(False)
for height in range(80, 100):
    layer(torch.zeros(1, 16, height, 80))
with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON_CREATION):
    layer(torch.zeros(1, 16, 80, 80))
"""


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize(("most", "there"), [([], True), (["8"], False)])
def test_the_onednn_cache_is_limited(most: list[str], there: bool) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KERNELS, *most], capture_output=True, text=True, check=True, env=unlimited()
    )
    asked = [line for line in run.stdout.splitlines() if "create:cache_" in line and "16x78x78" in line]
    assert asked
    assert all(("cache_hit" in line) is there for line in asked)


# How many MiB the C library has handed out more after 500 sizes more.
DESCRIPTIONS = """
import ctypes, sys, torch
from upnet.utils.allocator import limit_onednn_cache

limit_onednn_cache(int(sys.argv[1]))
layer = torch.nn.Conv2d(16, 16, 3).to(memory_format=torch.channels_last).requires_grad_(False)

class MallInfo(ctypes.Structure):  # https://man7.org/linux/man-pages/man3/mallinfo.3.html
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = MallInfo

def after(heights):
    for height in heights:
        for width in range(40, 90):
            layer(torch.zeros(1, 16, height, width).to(memory_format=torch.channels_last))
    return mallinfo2().uordblks / 2**20

print(-after(range(60, 64)) + after(range(64, 74)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_images_of_many_sizes_take_no_more_memory() -> None:
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", DESCRIPTIONS, str(INFERENCE_KERNELS)],
        capture_output=True,
        text=True,
        check=True,
        env=unlimited(),
        cwd=root,
    )
    assert float(run.stdout) < 1
