"""Memory formats: an operator answers in the layout it was asked in."""

from typing import Any

import torch
from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """Whether (N, C, h, w) lies in memory as (N, h, w, C)."""
    return x.is_contiguous(memory_format=torch.channels_last)


def interleaved(phases: Tensor, scale: int) -> Tensor:
    """(N, s·s·O, h, w) -> (N, O, s·h, s·w): channel (r·s + c)·O + o goes to the pixels of row r and column c of o.

    That is F.pixel_shuffle with the phases before the channels, which leaves runs of O values together where channels
    lie last. As a permutation its gradient is one too; F.pixel_shuffle moves value by value on its way back, and in
    planes on its way there as well.
    """
    if scale == 1:
        return phases
    n, channels, h, w = phases.shape
    out = channels // scale**2
    if channels_last(phases):
        lying = phases.permute(0, 2, 3, 1).unflatten(3, (scale, scale * out))
        if phases.device.type != "cpu" or torch.compiler.is_compiling():
            rows = lying.transpose(2, 3)
        else:
            rows = _IntoRows.apply(lying)
            assert isinstance(rows, Tensor)
        return rows.reshape(n, scale * h, scale * w, out).permute(0, 3, 1, 2)
    apart = phases.reshape(n, scale, scale, out, h, w)
    return apart.permute(0, 3, 4, 1, 5, 2).reshape(n, out, scale * h, scale * w)


def zeros_like(x: Tensor, height: int, width: int) -> Tensor:
    """(N, C, height, width) of zeros in the type, on the device and in the memory format of x, (N, C, h, w)."""
    memory_format = torch.channels_last if channels_last(x) else torch.contiguous_format
    shape = (*x.shape[:2], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format).zero_()


class _IntoRows(torch.autograd.Function):
    """(N, h, w, s, R) -> (N, h, s, w, R), with _OutOfRows as its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.transpose(2, 3).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _OutOfRows.apply(gradients[0])


class _OutOfRows(torch.autograd.Function):
    """(N, h, s, w, R) -> (N, h, w, s, R).

    Row by row, since a CPU copies in the order of what it writes: all at once it would go by s short runs at a time,
    and take two to five times as long for the few channels of a picture.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.stack(x.unbind(2), 3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _IntoRows.apply(gradients[0])
