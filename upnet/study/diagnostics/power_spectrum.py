"""How strong each frequency of a picture is.

Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967,
https://doi.org/10.1109/TAU.1967.1161901: the mean over half overlapping blocks under a Hann window. One transform of
the whole picture would leave the power of each frequency to chance; the mean over a hundred blocks doesn't.

Shape legend: s scale; N side of a block, a multiple of s, so that the multiples of N/s are frequencies of their own.
"""

import torch
from torch import Tensor

from upnet.study.diagnostics.methods import luma_plane

SIDE = 96
"""The side of a block at most, in pixels."""

QUANTUM = 1 / (12 * 255**2)
"""What rounding to 8 bits adds to every frequency: less than that is not there to be seen."""

# N/s frequencies have to leave a neighbourhood to each multiple of N/s.
_LEAST = 6


def power_spectrum(plane: Tensor, scale: int) -> Tensor:
    """(H, W) float64 in [0, 1] -> (N, N), the power spectral density per pixel, zero frequency first, plus QUANTUM.

    White noise of variance v has v everywhere. N is the largest multiple of s up to 96 that fits into the plane.

    Raises ValueError where the plane is smaller than 6·s or 16 pixels.
    """
    side = min(SIDE, *plane.shape) // scale * scale
    if side < max(_LEAST * scale, 16):
        raise ValueError(
            f"diagnostics: a spectrum at scale {scale} needs {max(_LEAST * scale, 16)} pixels on each side behind the "
            f"crop; got {plane.shape[0]}×{plane.shape[1]}; use larger pictures"
        )
    window = torch.hann_window(side, dtype=torch.float64)
    window = torch.outer(window, window)
    tops, lefts = (_starts(length, side) for length in plane.shape)
    total = torch.zeros(side, side, dtype=torch.float64)
    for top in tops:  # one row of blocks at a time, for memory's sake
        blocks = torch.stack([plane[top : top + side, left : left + side] for left in lefts])
        # The mean under the window, so that nothing of it leaks into the neighbours of zero frequency.
        level = (blocks * window).sum((1, 2), keepdim=True) / window.sum()
        total += torch.fft.fft2((blocks - level) * window).abs().square().sum(0)
    return total / (len(tops) * len(lefts) * window.square().sum()) + QUANTUM


def _starts(length: int, side: int) -> list[int]:
    """Where blocks start that overlap by half or more and reach from one end to the other."""
    steps = -(-2 * (length - side) // side)
    return [0] if steps == 0 else [number * (length - side) // steps for number in range(steps + 1)]


def cropped_luma(picture: Tensor, scale: int) -> Tensor:
    """Y without `scale` pixels at each side: (3 or 1, H, W), uint8 or in [0, 1] -> (H − 2·s, W − 2·s) float64."""
    plane = luma_plane(picture)
    if min(plane.shape) <= 2 * scale:
        raise ValueError(f"diagnostics: a crop of {scale} leaves nothing of {plane.shape[0]}×{plane.shape[1]} pixels")
    return plane[scale:-scale, scale:-scale]


def luma_pair(output: Tensor, target: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """`inner` of an output and its target. Raises ValueError where their sizes differ or are no multiples of scale."""
    height, width = output.shape[-2:]
    if output.shape[-2:] != target.shape[-2:] or height % scale or width % scale:
        raise ValueError(
            f"diagnostics: output and target must have one size, a multiple of the scale {scale}; got "
            f"{height}×{width} and {target.shape[-2]}×{target.shape[-1]}"
        )
    return cropped_luma(output, scale), cropped_luma(target, scale)
