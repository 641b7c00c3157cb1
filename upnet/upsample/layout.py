"""Memory formats: an operator answers in the layout it was asked in."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """Whether (N, C, h, w) lies in memory as (N, h, w, C)."""
    return x.is_contiguous(memory_format=torch.channels_last)


def zeros_like(x: Tensor, height: int, width: int) -> Tensor:
    """(N, C, height, width) of zeros in the type, on the device and in the memory format of x, (N, C, h, w)."""
    memory_format = torch.channels_last if channels_last(x) else torch.contiguous_format
    shape = (*x.shape[:2], height, width)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format).zero_()
