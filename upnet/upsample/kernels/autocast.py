"""Disable autocast for a computation, or cast tensors as autocast does for a convolution."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def no_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Disable autocast on the device of x, so that results computed from x keep its dtype.

    Devices without autocast, such as `meta`, need no context.
    """
    device = x.device.type
    return torch.autocast(device, enabled=False) if _has_autocast(device) else nullcontext()


@torch.compiler.assume_constant_result  # torch 2.9 cannot compile this call
def _has_autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device)


def cast_for_autocast(x: Tensor) -> Tensor:
    """x in the dtype that autocast, if enabled, gives to the operands of a convolution."""
    device = x.device.type
    if not _has_autocast(device) or not torch.is_autocast_enabled(device) or x.dtype == torch.float64:
        return x
    return x.to(torch.get_autocast_dtype(device))
