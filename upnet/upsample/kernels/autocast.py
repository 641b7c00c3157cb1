"""Arithmetic that autocast leaves alone, and what it does to the rest."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def uncast(x: Tensor) -> AbstractContextManager[object]:
    """No autocast where x is, so that what is computed of it keeps its type, whatever is cast around here.

    Devices without autocast, such as `meta`, on which nothing but shapes is computed, need none.
    """
    device = x.device.type
    return torch.autocast(device, enabled=False) if _casts(device) else nullcontext()


@torch.compiler.assume_constant_result  # torch 2.9 can't compile the question
def _casts(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def autocast(x: Tensor) -> Tensor:
    """x in the type that autocast, where it is on, gives to the operands of a convolution."""
    device = x.device.type
    if not _casts(device) or not torch.is_autocast_enabled(device) or x.dtype == torch.float64:
        return x
    return x.to(torch.get_autocast_dtype(device))
