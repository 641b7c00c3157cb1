"""How much memory a network takes for a picture, and how much there is: a CPU may kill instead of refusing."""

import copy
import ctypes
import math
import os
import sys
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

# Of the memory that is free, what a picture may take: other processes want some, and allocators round up.
SHARE = 0.8
# oneDNN computes on channels in blocks of this many, and lays its operands out so.
BLOCK = 16
# The side in LR pixels of the picture that a network is tried on.
PROBE = 32

_probed: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def fits(net: nn.Module, shape: Sequence[int], beside: int) -> bool:
    """Whether the CPU's memory holds what a network takes for a float32 input of that shape, and `beside` bytes more.

    True where nothing tells how much memory there is, or how much the network takes.
    """
    if available() is None:
        return True
    # Nothing a network makes grows faster than the square of the longer side: mostly that settles it.
    squares = math.ceil(max(shape[2:]) / PROBE) ** 2
    try:
        return leaves(squares * _peak_of_probe(net, shape[1]) + beside) or leaves((peak(net, shape) or 0) + beside)
    except (MemoryError, RuntimeError) as fault:
        if not ran_out(fault):
            raise
        return False


def leaves(need: int) -> bool:
    """Whether so many bytes are free on the CPU, or nothing tells."""
    free = available()
    if free is not None and need > SHARE * free:
        _give_back()
        free = available()
    return free is None or need <= SHARE * free


def ran_out(fault: Exception) -> bool:
    """Whether an error says that memory was refused: by CUDA, by the CPU's allocators, or by a library's own."""
    told = ("out of memory", "allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
    return isinstance(fault, MemoryError) or any(words in str(fault) for words in told)


def peak(net: nn.Module, shape: Sequence[int]) -> int | None:
    """The most bytes in use at a time while a network computes on the CPU, its weights left out; shape of its input.

    Nothing is computed: the shapes are followed, and with them what is alive after every operation. None where an
    operation can't be followed so, because what comes out of it depends on the values, or torch doesn't know its shape.
    """
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
        UnsupportedOperatorException,
    )

    shadow = _copied(net)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            return _follow(shadow, shape)
    except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException):
        return None


def _peak_of_probe(net: nn.Module, channels: int) -> int:
    """The same for a square of `PROBE` pixels, which it is quicker to compute than to follow, once per network."""
    if net not in _probed:
        _probed[net] = _follow(_copied(net), (1, channels, PROBE, PROBE))
    return _probed[net]


def _copied(net: nn.Module) -> nn.Module:
    """A copy, since operators may keep what they made for a size, and normalisation may count what it sees."""
    shadow = copy.deepcopy(net).cpu()
    for module in shadow.modules():
        # Whoever listens to a network listens to what it makes of pictures.
        module._forward_pre_hooks.clear()
        module._forward_hooks.clear()
    return shadow


@torch.no_grad()
def _follow(net: nn.Module, shape: Sequence[int]) -> int:
    with _Living() as living:
        net(torch.zeros(tuple(shape)))
    return living.most


def available() -> int | None:
    """The bytes that this process may still take on the CPU; None where the system doesn't tell."""
    free = [limit() for limit in (_free_in_machine, _free_in_group, _free_addresses)]
    return min((number for number in free if number is not None), default=None)


class _Living(TorchDispatchMode):
    """Follows how many bytes the tensors made within it hold; `most` is their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self._sizes = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                self._sizes[storage] = storage.nbytes()
        beside = _workspace(args, result) if func is torch.ops.aten.convolution.default else 0
        self.most = max(self.most, sum(self._sizes.values()) + beside)
        return result


def _workspace(args: tuple[Any, ...], result: Tensor) -> int:
    """What a convolution takes beside its operands, in bytes; args are those of aten::convolution."""
    x, weight, transposed = args[0], args[1], args[6]
    if not torch.backends.mkldnn.is_available():
        # A column of inputs, or of outputs, for every pixel of the coarser grid.
        coarse = x if transposed else result
        return weight[0].numel() * coarse[:, 0].numel() * x.element_size()
    blocks = [
        -(-part.shape[1] // BLOCK) * part[:, 0].numel() for part in (x, result, *([result] if transposed else []))
    ]
    return sum(blocks) * BLOCK * x.element_size()


def _give_back() -> None:
    """Have the GNU C library hand back the memory that it keeps for later."""
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)


def _free_in_machine() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_in_group() -> int | None:
    """What the control groups of a container leave, of the second version or the first."""
    free = []
    for folder, limit, used, cache in _groups():
        with suppress(OSError, ValueError):  # no such group, or no limit in it, which reads "max"
            most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
            told = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            free.append(max(0, most - taken + int(told.get(cache, 0))))
    return min(free, default=None)


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    root = Path("/sys/fs/cgroup")
    yield root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                own = root / line[3:].lstrip("/")
                for folder in (own, *own.parents):
                    if folder.is_relative_to(root):
                        yield folder, "memory.max", "memory.current", "inactive_file"


def _free_addresses() -> int | None:
    """What `ulimit -v` leaves."""
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
