"""Baselines: upscaling by a fixed interpolation, and the downscaling that makes LR images."""

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from upnet.imaging.imresize import Border, imresize
from upnet.utils.errors import UserError

__all__ = ["BASELINES", "bicubic", "bilinear", "downscale", "lanczos", "nearest"]

Kernel = Callable[[Tensor], Tensor]


def nearest(lr: Tensor, scale: int) -> Tensor:
    """Nearest neighbour: each pixel becomes a square.

    lr: (C, h, w), uint8 or floating point in [0, 1]. Returns (C, scale·h, scale·w) float64 in [0, 1].

    >>> nearest(torch.tensor([[[0, 255]]], dtype=torch.uint8), 2).tolist()
    [[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]]
    """
    return _on_values(lr, lambda x: x.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1))


def bilinear(lr: Tensor, scale: int) -> Tensor:
    """Bilinear interpolation on the half-pixel grid (align_corners=False).

    lr: (C, h, w), uint8 or floating point in [0, 1]. Returns (C, scale·h, scale·w) float64 in [0, 1].

    >>> bilinear(torch.tensor([[[0.0, 1.0]]]), 2)[0, 0].tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    return _on_values(lr, lambda x: _interpolated(x, scale, _tent, 1))


def bicubic(lr: Tensor, scale: float | Fraction) -> Tensor:
    """Bicubic interpolation as MATLAB's `imresize`, with mirrored borders.

    lr: (C, h, w), uint8 or floating point in [0, 1].

    Returns (C, H, W) float64. Values overshoot [0, 1] near edges; they are neither clamped nor rounded, which
    `EvaluationProtocol.evaluate` does. Raises ValueError for other dtypes.

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981,
    https://doi.org/10.1109/TASSP.1981.1163711

    >>> bicubic(torch.full((3, 8, 8), 0.5), 2).shape
    torch.Size([3, 16, 16])
    """
    return _on_values(lr, lambda x: imresize(x, scale))


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Lanczos interpolation with three lobes on the half-pixel grid.

    lr: (C, h, w), uint8 or floating point in [0, 1].

    Returns (C, scale·h, scale·w) float64; values overshoot [0, 1] near edges. Weights are normalised to sum 1, also
    near the border, where the weights of missing pixels are zero, as in Pillow.

    Source: Duchon, "Lanczos Filtering in One and Two Dimensions", 1979,
    https://doi.org/10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2
    """
    return _on_values(lr, lambda x: _interpolated(x, scale, _lanczos3, 3))


BASELINES: dict[str, Callable[[Tensor, int], Tensor]] = {
    function.__name__: function for function in (nearest, bilinear, bicubic, lanczos)
}
"""Name -> function from (C, h, w), uint8 or in [0, 1], and scale to (C, scale·h, scale·w) float64, not clamped."""


def downscale(hr: Tensor, scale: int, border: Border = "symmetric") -> tuple[Tensor, Tensor]:
    """Make the LR image of an HR image by MATLAB's bicubic `imresize`.

    hr: (C, H, W). It is cropped at the bottom and right to a multiple of the scale, as in the benchmarks.

    Returns LR (C, h, w) and the cropped HR (C, scale·h, scale·w). uint8 is rounded as in MATLAB, floating point is
    not. Raises UserError where nothing is left.

    >>> lr, hr = downscale(torch.zeros(3, 9, 7, dtype=torch.uint8), 2)
    >>> lr.shape, hr.shape
    (torch.Size([3, 4, 3]), torch.Size([3, 8, 6]))
    """
    h, w = hr.shape[-2] // scale, hr.shape[-1] // scale
    if min(h, w) < 1:
        raise UserError(
            f"an image of {hr.shape[-2]}x{hr.shape[-1]} leaves nothing at scale {scale}", cure="Use larger images"
        )
    hr = hr[..., : h * scale, : w * scale]
    return imresize(hr, Fraction(1, scale), border), hr


def _on_values(lr: Tensor, upscale: Callable[[Tensor], Tensor]) -> Tensor:
    """Upscale in float64; uint8 is divided by 255 afterwards, so that sums of integers stay exact."""
    if lr.dtype != torch.uint8 and not lr.is_floating_point():
        raise ValueError(f"a baseline's image must be uint8, or floating point in [0, 1]; got {lr.dtype}")
    upscaled = upscale(lr.to(torch.float64))
    return upscaled / 255 if lr.dtype == torch.uint8 else upscaled


def _interpolated(x: Tensor, scale: int, kernel: Kernel, reach: int) -> Tensor:
    """Both axes by a kernel that is zero beyond `reach` pixels: (C, h, w) float64 -> (C, scale·h, scale·w)."""
    for axis in (1, 2):
        indices, weights = _taps(x.shape[axis], scale, kernel, reach, x.device)
        column = (-1, 1) if axis == 1 else (-1,)
        terms = (x.index_select(axis, i) * w.view(column) for i, w in zip(indices, weights, strict=True))
        x = torch.stack(list(terms)).sum(0)
    return x


def _taps(length: int, scale: int, kernel: Kernel, reach: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What every output pixel of an axis is a mean of: input pixels and weights, both (2 reach, scale · length)."""
    # Output o sits at (o + 1/2) / scale - 1/2 of the input.
    centre = (torch.arange(length * scale, dtype=torch.float64, device=device) + 0.5) / scale - 0.5
    indices = centre.floor() + torch.arange(1 - reach, 1 + reach, device=device)[:, None]
    weights = kernel(centre - indices) * ((indices >= 0) & (indices < length))
    return indices.clamp(0, length - 1).long(), weights / weights.sum(0)


def _tent(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _lanczos3(distance: Tensor) -> Tensor:
    return torch.sinc(distance) * torch.sinc(distance / 3) * (distance.abs() < 3)
