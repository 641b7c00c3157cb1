"""Memory formats, and where a CPU's own kernels apply: an operator answers in the memory format of its input."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# With fewer channels, such as those of an image, loops over the channels of one pixel are too short to be fast.
NARROW = 8


def on_cpu(x: Tensor) -> bool:
    """Whether a CPU computes on x now. Elsewhere, and compiled, operators are compositions of torch's own operations.

    Every choice between two ways to compute the same depends on the device, the type, the memory format and the
    shapes only, never on whether gradients are recorded: training and inference give the same bits.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def channels_last(x: Tensor) -> bool:
    """Whether the memory order of (N, C, h, w) is (N, h, w, C).

    Read from the strides, since inside torch.func.vmap a tensor refuses to answer is_contiguous for this format.
    """
    expected = 1
    for axis in (1, 3, 2, 0):
        if x.shape[axis] != 1:
            if x.stride(axis) != expected:
                return False
            expected *= x.shape[axis]
    return True


def in_format_of(x: Tensor, out: Tensor) -> Tensor:
    """`out`, copied where needed, in the memory format of x. Works inside torch.func.vmap too."""
    if channels_last(x):
        return out.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    return out.contiguous()


def shuffled(x: Tensor, scale: int) -> Tensor:
    """F.pixel_shuffle in the memory format of its input: (N, O·s·s, h, w) -> (N, O, s·h, s·w).

    On its own, F.pixel_shuffle leaves a GPU's channels-last output contiguous, and on a CPU it and its gradient move
    value by value.
    """
    if scale == 1:
        return x
    n, channels, h, w = x.shape
    out, last = channels // scale**2, channels_last(x)
    if last and on_cpu(x):
        shuffled = _Shuffle.apply(x, scale)
        assert isinstance(shuffled, Tensor)
        return shuffled
    if not last and not on_cpu(x):
        return F.pixel_shuffle(x, scale)
    phases = x.reshape(n, out, scale, scale, h, w)
    if last:
        return phases.permute(0, 4, 2, 5, 3, 1).reshape(n, scale * h, scale * w, out).permute(0, 3, 1, 2)
    return phases.permute(0, 1, 4, 2, 5, 3).reshape(n, out, scale * h, scale * w)


def interleaved(phases: Tensor, scale: int) -> Tensor:
    """(N, s·s·O, h, w) -> (N, O, s·h, s·w): channel (r·s + c)·O + o goes to the pixels of row r and column c of o.

    That is F.pixel_shuffle with the phases before the channels, which leaves runs of O values together where channels
    are last in memory.
    """
    if scale == 1:
        return phases
    n, channels, h, w = phases.shape
    out = channels // scale**2
    if channels_last(phases):
        rows = _IntoRows.apply(phases.permute(0, 2, 3, 1).unflatten(3, (scale, scale * out)))
        assert isinstance(rows, Tensor)
        return rows.reshape(n, scale * h, scale * w, out).permute(0, 3, 1, 2)
    apart = phases.reshape(n, scale, scale, out, h, w)
    return apart.permute(0, 3, 4, 1, 5, 2).reshape(n, out, scale * h, scale * w)


def zeros_like(x: Tensor, height: int, width: int) -> Tensor:
    """(N, C, height, width) of zeros in the type, on the device and in the memory format of x, (N, C, h, w)."""
    memory_format = torch.channels_last if channels_last(x) else torch.contiguous_format
    shape = (*x.shape[:2], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format).zero_()


def folded(x: Tensor, axis: int | None, size: int) -> Tensor:
    """The axis that torch.func.vmap maps over, of that size, moved into the batch: (N, …) each -> (size·N, …).

    axis: where it is; None for a tensor that is the same for all.
    """
    return (x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)).flatten(0, 1)


def unfolded(x: Tensor, size: int) -> tuple[Tensor, int]:
    """What folded() moved, out of the batch again, and the axis where it is: what a vmap method returns."""
    return x.unflatten(0, (size, -1)), 0


class _IntoRows(torch.autograd.Function):
    """(N, h, w, s, R) -> (N, h, s, w, R), with _OutOfRows as its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.transpose(2, 3).clone(memory_format=torch.contiguous_format)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _OutOfRows.apply(gradients[0])


class _OutOfRows(torch.autograd.Function):
    """(N, h, s, w, R) -> (N, h, w, s, R).

    Row by row, since a CPU copies in the order of what it writes: all at once it would go by s short runs at a time.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.stack(x.unbind(2), 3)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _IntoRows.apply(gradients[0])


class _Shuffle(torch.autograd.Function):
    """F.pixel_shuffle on a CPU with the channels last in memory, with _Unshuffle as its gradient."""

    @staticmethod
    def forward(x: Tensor, scale: int) -> Tensor:
        n, channels, h, w = x.shape
        out = channels // scale**2
        if out > NARROW:
            return F.pixel_shuffle(x, scale)
        grown = torch.empty(
            (n, out, scale * h, scale * w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
        phases = x.unflatten(1, (out, scale, scale))
        for row in range(scale):
            for col in range(scale):
                grown[:, :, row::scale, col::scale] = phases[:, :, row, col]
        return grown

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Unshuffle.apply(gradients[0], ctx.scale), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        x, scale = args
        return unfolded(_Shuffle.apply(folded(x, in_dims[0], info.batch_size), scale), info.batch_size)


class _Unshuffle(torch.autograd.Function):
    """F.pixel_unshuffle on a CPU with the channels last in memory, with _Shuffle as its gradient."""

    @staticmethod
    def forward(x: Tensor, scale: int) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        n, out, height, width = x.shape
        if out <= NARROW:
            return F.pixel_unshuffle(x, scale)
        # To the phases before the channels first, in long runs, and then a transposition for each pixel.
        rows = x.permute(0, 2, 3, 1).reshape(n, height // scale, scale, width // scale, scale * out)
        phases = torch.stack(rows.unbind(2), 3).flatten(3, 4).permute(0, 3, 1, 2)
        return torch.native_channel_shuffle(phases, scale**2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Shuffle.apply(gradients[0], ctx.scale), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        x, scale = args
        return unfolded(_Unshuffle.apply(folded(x, in_dims[0], info.batch_size), scale), info.batch_size)
