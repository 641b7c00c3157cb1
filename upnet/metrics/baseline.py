"""The bicubic baseline, which stands beside every network."""

from fractions import Fraction

import torch
from torch import Tensor

from upnet.imresize import Border, imresize

__all__ = ["bicubic", "reduce"]


def bicubic(lr: Tensor, scale: float | Fraction) -> Tensor:
    """MATLAB's bicubic enlargement in float64, mirrored at the border: (C, h, w) -> (C, H, W), around [0, 1].

    lr: uint8, or floating point in [0, 1]. The result overshoots [0, 1] near edges and is neither clamped nor rounded:
    `Protocol.score` does both, once. Raises ValueError for other dtypes.
    """
    if lr.dtype == torch.uint8:
        return imresize(lr.to(torch.float64), scale) / 255
    if not lr.is_floating_point():
        raise ValueError(f"bicubic: the picture must be uint8, or floating point in [0, 1]; got {lr.dtype}")
    return imresize(lr.to(torch.float64), scale)


def reduce(hr: Tensor, scale: int, border: Border = "symmetric") -> tuple[Tensor, Tensor]:
    """LR picture of an HR picture: (C, H, W) -> LR (C, h, w) and the HR (C, scale*h, scale*w) that it belongs to.

    HR is cut to a multiple of the scale at the bottom and the right before it is reduced, as the benchmarks do. uint8
    is rounded by `imresize` as MATLAB does; floating point is not. Raises ValueError where nothing is left.
    """
    h, w = hr.shape[-2] // scale, hr.shape[-1] // scale
    if min(h, w) < 1:
        raise ValueError(f"reduce: a picture of {hr.shape[-2]}x{hr.shape[-1]} leaves nothing at scale {scale}")
    hr = hr[..., : h * scale, : w * scale]
    return imresize(hr, Fraction(1, scale), border), hr
