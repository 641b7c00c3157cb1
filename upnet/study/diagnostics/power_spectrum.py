"""Power spectral density of an image by Welch's method.

Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967,
https://doi.org/10.1109/TAU.1967.1161901: the mean over half overlapping blocks under a Hann window. The mean over many
blocks has a much smaller variance than one transform of the complete image.

Shape legend: s scale; N side of a block, a multiple of s, so that the multiples of N/s are exact frequencies.
"""

import torch
from torch import Tensor

from upnet.study.diagnostics.methods import luma_plane
from upnet.utils.errors import UserError

SIDE = 96
"""The largest side of a block, in pixels."""

QUANTUM = 1 / (12 * 255**2)
"""Power of the rounding to 8 bits at every frequency. It is added, so that smaller power has no influence."""

# N/s must be large enough for a neighbourhood around each multiple of N/s.
_SMALLEST_SPACING = 6


def power_spectrum(plane: Tensor, scale: int) -> Tensor:
    """(H, W) float64 in [0, 1] -> (N, N), the power spectral density per pixel, zero frequency first, plus QUANTUM.

    White noise of variance v has v everywhere. N is the largest multiple of s up to 96 that fits into the plane.

    Raises UserError where the plane is smaller than 6·s or 16 pixels.

    >>> noise = 0.1 * torch.randn(256, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> round(float(power_spectrum(noise, scale=2)[1:, 1:].mean()), 3)
    0.01
    """
    side = min(SIDE, *plane.shape) // scale * scale
    if side < max(_SMALLEST_SPACING * scale, 16):
        raise UserError(
            f"a spectrum needs larger images than {plane.shape[0]}×{plane.shape[1]} pixels after cropping",
            allowed=f"at scale {scale} {max(_SMALLEST_SPACING * scale, 16)} pixels or more on each side",
        )
    window = torch.hann_window(side, dtype=torch.float64)
    window = torch.outer(window, window)
    tops, lefts = (_starts(length, side) for length in plane.shape)
    total = torch.zeros(side, side, dtype=torch.float64)
    for top in tops:  # one row of blocks at a time, to limit memory
        blocks = torch.stack([plane[top : top + side, left : left + side] for left in lefts])
        # The mean weighted by the window is subtracted, or it would leak into the neighbours of the zero frequency.
        level = (blocks * window).sum((1, 2), keepdim=True) / window.sum()
        total += torch.fft.fft2((blocks - level) * window).abs().square().sum(0)
    return total / (len(tops) * len(lefts) * window.square().sum()) + QUANTUM


def _starts(length: int, side: int) -> list[int]:
    """Start positions of blocks that overlap by half or more and cover the complete length."""
    steps = -(-2 * (length - side) // side)
    return [0] if steps == 0 else [number * (length - side) // steps for number in range(steps + 1)]


def cropped_luma(image: Tensor, scale: int) -> Tensor:
    """Luma without `scale` pixels at each side: (3 or 1, H, W), uint8 or in [0, 1] -> (H − 2·s, W − 2·s) float64.

    Raises UserError where no pixels are left.

    >>> cropped_luma(torch.zeros(3, 16, 20), scale=2).shape
    torch.Size([12, 16])
    """
    plane = luma_plane(image)
    if min(plane.shape) <= 2 * scale:
        raise UserError(f"cropping {scale} pixels at each side leaves none of {plane.shape[0]}×{plane.shape[1]} pixels")
    return plane[scale:-scale, scale:-scale]


def luma_pair(output: Tensor, target: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """cropped_luma() of an output and its target.

    Raises UserError where their sizes differ or are not multiples of the scale.
    """
    height, width = output.shape[-2:]
    if output.shape[-2:] != target.shape[-2:] or height % scale or width % scale:
        raise UserError(
            f"output and target have {height}×{width} and {target.shape[-2]}×{target.shape[-1]} pixels",
            allowed=f"the same size, a multiple of the scale {scale}",
        )
    return cropped_luma(output, scale), cropped_luma(target, scale)
