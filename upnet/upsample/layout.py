"""Memory formats: an operator answers in the layout it was asked in."""

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
    n, channels, h, w = phases.shape
    out = channels // scale**2
    if channels_last(phases):
        lying = phases.permute(0, 2, 3, 1).unflatten(3, (scale, scale, out))
        return lying.transpose(2, 3).reshape(n, scale * h, scale * w, out).permute(0, 3, 1, 2)
    apart = phases.reshape(n, scale, scale, out, h, w)
    return apart.permute(0, 3, 4, 1, 5, 2).reshape(n, out, scale * h, scale * w)


def zeros_like(x: Tensor, height: int, width: int) -> Tensor:
    """(N, C, height, width) of zeros in the type, on the device and in the memory format of x, (N, C, h, w)."""
    memory_format = torch.channels_last if channels_last(x) else torch.contiguous_format
    shape = (*x.shape[:2], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format).zero_()
