"""Keeping large blocks works where the GNU C library is, and does nothing elsewhere."""

import platform
import subprocess
import sys
import types

import pytest

from upnet.memory import keep_large_blocks

# Page faults of a block of 64 MiB, asked for again and again: a few times until it fits where it lay before.
FAULTS = """
import resource, torch
from upnet.memory import keep_large_blocks

def faults():
    for _ in range(20):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(1 << 24)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return after - before

print(faults(), keep_large_blocks(), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_a_block_that_is_kept_is_not_handed_out_page_by_page_again() -> None:
    # In a process of its own: what is told to the library can't be taken back.
    run = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    by_default, told, kept = run.stdout.split()
    assert told == "True"
    assert int(kept) < 0.1 * int(by_default)


def test_a_library_without_mallopt_such_as_musl_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace())
    assert keep_large_blocks() is False


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_elsewhere_no_library_is_even_opened(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("opened"))
    assert keep_large_blocks() is False
