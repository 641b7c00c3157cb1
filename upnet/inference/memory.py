"""The memory that a network needs for an image.

The operating system may kill a process that allocates too much memory. Therefore the need is computed beforehand.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from upnet.utils import free_memory

ONEDNN_BLOCK = 16
"""oneDNN stores channels in blocks of this many."""
PROBE_SIDE = 32
"""Side in LR pixels of the square image that is computed to measure its memory."""

_probed: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


def fits(net: nn.Module, shape: Sequence[int], extra: int) -> bool:
    """Whether a network's output for a float32 input, and `extra` bytes more, fit into the free memory of the CPU.

    shape: of the input, (N, C, h, w).

    Returns True if the free memory or the need is unknown.

    >>> fits(nn.Conv2d(3, 8, 3), (1, 3, 16, 16), extra=0)
    True
    """
    if free_memory.available_bytes() is None:
        return True
    # Memory grows at most with the square of the longer side, which is enough to decide in most cases.
    squares = math.ceil(max(shape[2:]) / PROBE_SIDE) ** 2
    try:
        return free_memory.has_free(squares * _peak_of_probe(net, shape[1]) + extra) or free_memory.has_free(
            (peak_bytes(net, shape) or 0) + extra
        )
    except (MemoryError, RuntimeError) as error:
        if not free_memory.is_oom(error):
            raise
        return False


def peak_bytes(net: nn.Module, shape: Sequence[int]) -> int | None:
    """Peak size in bytes of the tensors that a network creates on the CPU for a float32 input, without its weights.

    shape: of the input, (N, C, h, w).

    Shapes are propagated and nothing is computed. Returns None if a shape depends on values,
    or if torch cannot propagate it.

    >>> peak_bytes(nn.ReLU(), (1, 3, 16, 16)) == 2 * 4 * 3 * 16 * 16
    True
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


def _peak_of_probe(net: nn.Module, channels: int) -> int:
    """`peak_bytes` for a square of PROBE_SIDE pixels, computed once per network: faster than propagating shapes."""
    if net not in _probed:
        _probed[net] = _measure(_copy_without_hooks(net), (1, channels, PROBE_SIDE, PROBE_SIDE))
    return _probed[net]


def _copy_without_hooks(net: nn.Module) -> nn.Module:
    """Copy a network to the CPU. The original stays unchanged: modules may cache constants, or update statistics."""
    copied = copy.deepcopy(net).cpu()
    for module in copied.modules():
        # A user's hooks must not see the probe.
        module._forward_pre_hooks.clear()
        module._forward_hooks.clear()
    return copied


@torch.no_grad()
def _measure(net: nn.Module, shape: Sequence[int]) -> int:
    with LiveBytes() as live:
        net(torch.zeros(tuple(shape)))
    return live.peak


class LiveBytes(TorchDispatchMode):
    """Count the bytes of the tensors that are created in this context and still alive; `peak` is the maximum.

    >>> with LiveBytes() as live:
    ...     _ = torch.zeros(10) + 1
    >>> live.peak
    80
    """

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
    """The bytes that a convolution needs in addition to its operands.

    args, result: the arguments and the result of aten::convolution.
    """
    x, weight, transposed = args[0], args[1], args[6]
    if not torch.backends.mkldnn.is_available():
        # im2col: a column of inputs, or of outputs if transposed, for every pixel of the coarser grid.
        coarse = x if transposed else result
        return weight[0].numel() * coarse[:, 0].numel() * x.element_size()
    operands = (x, result, *([result] if transposed else []))
    blocks = [-(-operand.shape[1] // ONEDNN_BLOCK) * operand[:, 0].numel() for operand in operands]
    return sum(blocks) * ONEDNN_BLOCK * x.element_size()
