"""Memory formats: operators return the format of their input, and choose the kernel that is fast for it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# With at most this many channels, such as those of an image, loops over the channels of one pixel are too short to be
# fast.
NARROW = 8


def on_cpu(x: Tensor) -> bool:
    """Whether x is on a CPU and the call is not being compiled; otherwise operators compose PyTorch operations.

    The choice between two kernels depends on the device, the dtype, the memory format and the shape only, never on
    whether gradients are recorded. Training and inference therefore give the same bits.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def is_channels_last(x: Tensor) -> bool:
    """Whether the memory order of (N, C, h, w) is (N, h, w, C).

    Derived from the strides, since is_contiguous() fails for this format inside torch.func.vmap.
    """
    expected = 1
    for axis in (1, 3, 2, 0):
        if x.shape[axis] != 1:
            if x.stride(axis) != expected:
                return False
            expected *= x.shape[axis]
    return True


def match_memory_format(x: Tensor, out: Tensor) -> Tensor:
    """`out` in the memory format of x, copied where needed; works inside torch.func.vmap."""
    if is_channels_last(x):
        return out.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    return out.contiguous()


def pixel_shuffle(x: Tensor, scale: int) -> Tensor:
    """F.pixel_shuffle in the memory format of its input: (N, O·s·s, h, w) -> (N, O, s·h, s·w).

    For channels last, F.pixel_shuffle returns a contiguous tensor on a GPU, and is slow on a CPU, as is its gradient.
    """
    if scale == 1:
        return x
    n, channels, h, w = x.shape
    out, channels_last = channels // scale**2, is_channels_last(x)
    if channels_last and on_cpu(x):
        shuffled = _Shuffle.apply(x, scale)
        assert isinstance(shuffled, Tensor)
        return shuffled
    if not channels_last and not on_cpu(x):
        return F.pixel_shuffle(x, scale)
    phases = x.reshape(n, out, scale, scale, h, w)
    if channels_last:
        return phases.permute(0, 4, 2, 5, 3, 1).reshape(n, scale * h, scale * w, out).permute(0, 3, 1, 2)
    return phases.permute(0, 1, 4, 2, 5, 3).reshape(n, out, scale * h, scale * w)


def interleave_phases(phases: Tensor, scale: int) -> Tensor:
    """(N, s·s·O, h, w) -> (N, O, s·h, s·w): input channel (r·s + c)·O + o becomes phase (r, c) of output channel o.

    This is F.pixel_shuffle with the phases before the channels, which keeps O values together in channels-last memory.
    """
    if scale == 1:
        return phases
    n, channels, h, w = phases.shape
    out = channels // scale**2
    if is_channels_last(phases):
        rows = _IntoRows.apply(phases.permute(0, 2, 3, 1).unflatten(3, (scale, scale * out)))
        assert isinstance(rows, Tensor)
        return rows.reshape(n, scale * h, scale * w, out).permute(0, 3, 1, 2)
    grid = phases.reshape(n, scale, scale, out, h, w)
    return grid.permute(0, 3, 4, 1, 5, 2).reshape(n, out, scale * h, scale * w)


def zeros_like(x: Tensor, height: int, width: int) -> Tensor:
    """Zeros of shape (N, C, height, width) with the dtype, device and memory format of x, (N, C, h, w)."""
    memory_format = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    shape = (*x.shape[:2], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format).zero_()


def fold_vmap(x: Tensor, axis: int | None, size: int) -> Tensor:
    """Move the axis that torch.func.vmap maps over into the batch: (N, …) per item -> (size·N, …).

    axis: where it is; None for a tensor without it, which is repeated.
    """
    return (x.expand(size, *x.shape) if axis is None else x.movedim(axis, 0)).flatten(0, 1)


def unfold_vmap(x: Tensor, size: int) -> tuple[Tensor, int]:
    """The inverse of fold_vmap, and the position of the axis: what the vmap method of a Function returns."""
    return x.unflatten(0, (size, -1)), 0


class _IntoRows(torch.autograd.Function):
    """(N, h, w, s, R) -> (N, h, s, w, R); the gradient is _OutOfRows."""

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
    """(N, h, s, w, R) -> (N, h, w, s, R); the gradient is _IntoRows.

    Row by row: a CPU copies in output order, and would read the whole tensor in many short runs.
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
    """F.pixel_shuffle for channels last on a CPU; the gradient is _Unshuffle."""

    @staticmethod
    def forward(x: Tensor, scale: int) -> Tensor:
        n, channels, h, w = x.shape
        out = channels // scale**2
        if out > NARROW:
            return F.pixel_shuffle(x, scale)
        shuffled = torch.empty(
            (n, out, scale * h, scale * w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
        phases = x.unflatten(1, (out, scale, scale))
        for row in range(scale):
            for col in range(scale):
                shuffled[:, :, row::scale, col::scale] = phases[:, :, row, col]
        return shuffled

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Unshuffle.apply(gradients[0], ctx.scale), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        x, scale = args
        return unfold_vmap(_Shuffle.apply(fold_vmap(x, in_dims[0], info.batch_size), scale), info.batch_size)


class _Unshuffle(torch.autograd.Function):
    """F.pixel_unshuffle for channels last on a CPU; the gradient is _Shuffle."""

    @staticmethod
    def forward(x: Tensor, scale: int) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        n, out, height, width = x.shape
        if out <= NARROW:
            return F.pixel_unshuffle(x, scale)
        # First the phases are moved before the channels, in long runs; then the two are exchanged within each pixel.
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
        return unfold_vmap(_Unshuffle.apply(fold_vmap(x, in_dims[0], info.batch_size), scale), info.batch_size)
