"""What stands beside every network: the picture enlarged by a fixed interpolation, bicubic above all."""

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from upnet.imaging.imresize import Border, imresize

__all__ = ["BASELINES", "bicubic", "bilinear", "downscale", "lanczos", "nearest"]

Kernel = Callable[[Tensor], Tensor]


def nearest(lr: Tensor, scale: int) -> Tensor:
    """Every pixel becomes a square of its value: (C, h, w) uint8 or in [0, 1] -> (C, scale·h, scale·w) float64."""
    return _on_values(lr, lambda x: x.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1))


def bilinear(lr: Tensor, scale: int) -> Tensor:
    """Linear in each axis, on the half-pixel grid: (C, h, w) uint8 or in [0, 1] -> (C, scale·h, scale·w) float64."""
    return _on_values(lr, lambda x: _interpolated(x, scale, _tent, 1))


def bicubic(lr: Tensor, scale: float | Fraction) -> Tensor:
    """MATLAB's bicubic enlargement in float64, mirrored at the border: (C, h, w) -> (C, H, W), around [0, 1].

    lr: uint8, or floating point in [0, 1]. The result overshoots [0, 1] near edges and is neither clamped nor rounded:
    `EvaluationProtocol.evaluate` does both, once. Raises ValueError for other dtypes.
    """
    return _on_values(lr, lambda x: imresize(x, scale))


def lanczos(lr: Tensor, scale: int) -> Tensor:
    """Lanczos' kernel with three lobes, its weights made to add up to 1, on the half-pixel grid.

    (C, h, w) uint8 or in [0, 1] -> (C, scale·h, scale·w) float64, around [0, 1]. Near the border the weights of pixels
    that don't exist are shared out among the others, as Pillow does it.

    Duchon, "Lanczos Filtering in One and Two Dimensions", 1979,
    https://doi.org/10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2
    """
    return _on_values(lr, lambda x: _interpolated(x, scale, _lanczos3, 3))


BASELINES: dict[str, Callable[[Tensor, int], Tensor]] = {
    function.__name__: function for function in (nearest, bilinear, bicubic, lanczos)
}
"""By name: (C, h, w) uint8, or floating point in [0, 1] -> (C, scale·h, scale·w) float64, not rounded or clamped."""


def downscale(hr: Tensor, scale: int, border: Border = "symmetric") -> tuple[Tensor, Tensor]:
    """LR picture of an HR picture: (C, H, W) -> LR (C, h, w) and the HR (C, scale*h, scale*w) that it belongs to.

    HR is cut to a multiple of the scale at the bottom and the right before it is reduced, as the benchmarks do. uint8
    is rounded by `imresize` as MATLAB does; floating point is not. Raises ValueError where nothing is left.
    """
    h, w = hr.shape[-2] // scale, hr.shape[-1] // scale
    if min(h, w) < 1:
        raise ValueError(f"downscale: a picture of {hr.shape[-2]}x{hr.shape[-1]} leaves nothing at scale {scale}")
    hr = hr[..., : h * scale, : w * scale]
    return imresize(hr, Fraction(1, scale), border), hr


def _on_values(lr: Tensor, enlarge: Callable[[Tensor], Tensor]) -> Tensor:
    """Enlarge in float64; what was uint8 is divided by 255 afterwards, so that sums of whole numbers stay exact."""
    if lr.dtype != torch.uint8 and not lr.is_floating_point():
        raise ValueError(f"a baseline's picture must be uint8, or floating point in [0, 1]; got {lr.dtype}")
    larger = enlarge(lr.to(torch.float64))
    return larger / 255 if lr.dtype == torch.uint8 else larger


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
