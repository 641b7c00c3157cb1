"""Peak signal-to-noise ratio of one image."""

import math

import torch
from torch import Tensor

__all__ = ["psnr"]


def psnr(output: Tensor, target: Tensor, peak: float = 255.0) -> float:
    r"""Peak signal-to-noise ratio of one image, in dB; higher is better.

    .. math:: \text{PSNR} = 10 \log_{10} \frac{\text{peak}^2}{\text{MSE}}, \qquad
        \text{MSE} = \frac{1}{CHW} \sum_{c,h,w} (\text{output} - \text{target})^2

    Args:
        output: (C, H, W), any dtype, range 0..peak. Values are neither rounded nor clamped.
        target: same shape and range.
        peak:   largest possible value: 255 for 8 bits, 1 for floating point in [0, 1].

    Returns:
        The PSNR, computed in float64; inf for equal images.

    Raises:
        ValueError: the shapes differ, or an image is empty.

    Source: Huynh-Thu and Ghanbari, "Scope of validity of PSNR in image/video quality assessment", 2008,
    https://doi.org/10.1049/el:20080522

    >>> target = torch.full((3, 8, 8), 100.0)
    >>> round(psnr(target + 1, target), 2)
    48.13
    """
    if output.shape != target.shape or output.numel() == 0:
        raise ValueError(
            f"psnr: output and target must have the same shape and not be empty; "
            f"got {tuple(output.shape)} and {tuple(target.shape)}"
        )
    with torch.no_grad():
        error = (output.to(torch.float64) - target.to(torch.float64)).flatten()
        mse = torch.dot(error, error).item() / error.numel()
    return math.inf if mse == 0 else 10 * math.log10(peak**2 / mse)
