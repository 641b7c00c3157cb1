"""The memory that a network needs for an image, and the memory that is free.

A CPU process that takes too much memory may be killed instead of getting an error, so the need is computed beforehand.
"""

import copy
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from upnet.utils.allocator import malloc_trim

SHARE = 0.8
"""The share of the free memory that an image may take: other processes need some, and allocators round up."""
BLOCK = 16
"""oneDNN stores channels in blocks of this many."""
PROBE = 32
"""The side in LR pixels of the image whose memory is measured by computing it."""

_OOM_MESSAGES = ("out of memory", "allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
"""Phrases in the errors of CUDA, of torch's CPU allocator and of libraries."""

_probed: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def fits(net: nn.Module, shape: Sequence[int], extra: int) -> bool:
    """Whether the CPU's free memory holds what a network needs for a float32 input, and `extra` bytes more.

    shape: of the input, (N, C, h, w).

    True if the free memory or the need is unknown.
    """
    if available_bytes() is None:
        return True
    # Memory grows at most with the square of the longer side, which is enough to decide in most cases.
    squares = math.ceil(max(shape[2:]) / PROBE) ** 2
    try:
        return has_free(squares * _peak_of_probe(net, shape[1]) + extra) or has_free((peak(net, shape) or 0) + extra)
    except (MemoryError, RuntimeError) as error:
        if not is_oom(error):
            raise
        return False


def has_free(needed: int) -> bool:
    """Whether that many bytes are free on the CPU, or the free memory is unknown."""
    free = available_bytes()
    if free is not None and needed > SHARE * free:
        malloc_trim()
        free = available_bytes()
    return free is None or needed <= SHARE * free


def is_oom(error: Exception) -> bool:
    """Whether an error says that memory was exhausted, on a CPU or a GPU.

    >>> is_oom(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), is_oom(RuntimeError("shape mismatch"))
    (True, False)
    """
    return isinstance(error, MemoryError) or any(message in str(error) for message in _OOM_MESSAGES)


def peak(net: nn.Module, shape: Sequence[int]) -> int | None:
    """The peak number of bytes of the tensors that a network makes on the CPU for a float32 input, without its weights.

    Shapes are propagated and nothing is computed. None if a shape depends on values, or if torch cannot propagate it.
    """
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
        UnsupportedOperatorException,
    )

    fake_net = _copy_without_hooks(net)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _measure(fake_net, shape)
    except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException):
        return None


def available_bytes() -> int | None:
    """The bytes that this process may still allocate on the CPU; None if the system doesn't say."""
    limits = [limit() for limit in (_free_in_machine, _free_in_cgroup, _free_addresses)]
    return min((free for free in limits if free is not None), default=None)


def _peak_of_probe(net: nn.Module, channels: int) -> int:
    """The peak for a square of PROBE pixels. It is computed, which is faster than propagating shapes, once per net."""
    if net not in _probed:
        _probed[net] = _measure(_copy_without_hooks(net), (1, channels, PROBE, PROBE))
    return _probed[net]


def _copy_without_hooks(net: nn.Module) -> nn.Module:
    """A copy on the CPU, since modules may cache constants per size, and normalisation may count its inputs."""
    copied = copy.deepcopy(net).cpu()
    for module in copied.modules():
        # Hooks of a user are meant for images.
        module._forward_pre_hooks.clear()
        module._forward_hooks.clear()
    return copied


@torch.no_grad()
def _measure(net: nn.Module, shape: Sequence[int]) -> int:
    with LiveBytes() as live:
        net(torch.zeros(tuple(shape)))
    return live.peak


class LiveBytes(TorchDispatchMode):
    """Count the bytes of the tensors that are created in this context and still alive; `peak` is the maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._sizes = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._sizes[storage] = storage.nbytes()
        workspace = _workspace(args, result) if func is torch.ops.aten.convolution.default else 0
        self.peak = max(self.peak, sum(self._sizes.values()) + workspace)
        return result


def _workspace(args: tuple[Any, ...], result: Tensor) -> int:
    """The bytes that a convolution needs beside its operands; args are those of aten::convolution."""
    x, weight, transposed = args[0], args[1], args[6]
    if not torch.backends.mkldnn.is_available():
        # im2col: a column of inputs, or of outputs, for every pixel of the coarser grid.
        coarse = x if transposed else result
        return weight[0].numel() * coarse[:, 0].numel() * x.element_size()
    operands = (x, result, *([result] if transposed else []))
    blocks = [-(-operand.shape[1] // BLOCK) * operand[:, 0].numel() for operand in operands]
    return sum(blocks) * BLOCK * x.element_size()


def _free_in_machine() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_in_cgroup() -> int | None:
    """What the control groups of a container leave, of version 2 or version 1."""
    free: list[int] = []
    for folder, limit_file, used_file, cache_key in _cgroups():
        with suppress(OSError, ValueError):  # there is no such group, or it has no limit: "max"
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
    """What the limit on the address space, `ulimit -v`, leaves."""
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
