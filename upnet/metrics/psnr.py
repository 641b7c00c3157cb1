"""Peak signal-to-noise ratio of one picture."""

import math

import torch
from torch import Tensor

__all__ = ["psnr"]


def psnr(output: Tensor, target: Tensor, peak: float = 255.0) -> float:
    """PSNR in dB of two (C, H, W) of range 0 ... peak: 10 log10(peak^2 / MSE), with the MSE over all values in float64.

    Equal pictures give inf. Raises ValueError where the shapes differ or a picture is empty.
    """
    if output.shape != target.shape or output.numel() == 0:
        raise ValueError(
            f"psnr: both pictures must have one and the same shape, not empty; "
            f"got {tuple(output.shape)} and {tuple(target.shape)}"
        )
    with torch.no_grad():
        error = (output.to(torch.float64) - target.to(torch.float64)).flatten()
        mse = torch.dot(error, error).item() / error.numel()
    return math.inf if mse == 0 else 10 * math.log10(peak**2 / mse)
