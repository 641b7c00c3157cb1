"""Colour conversion as MATLAB's `rgb2ycbcr` and `ycbcr2rgb` do it: ITU-R BT.601, studio range.

Of [0, 1], Y takes 16/255 ... 235/255, and Cb and Cr 16/255 ... 240/255 around 128/255.
ITU-R BT.601, "Studio encoding parameters of digital television": https://www.itu.int/rec/R-REC-BT.601
"""

import torch
from torch import Tensor

__all__ = ["luma", "rgb_to_ycbcr", "rounded_luma", "ycbcr_to_rgb"]

_Y = (65.481, 128.553, 24.966)
_CB = (-37.797, -74.203, 112.0)
_CR = (112.0, -93.786, -18.214)
_OFFSET = (16.0, 128.0, 128.0)


def luma(rgb: Tensor, white: float = 1.0) -> Tensor:
    """Y of RGB, (..., 3, H, W) -> (..., 1, H, W), both in [0, 1]: (65.481 R + 128.553 G + 24.966 B + 16) / 255.

    white: the largest value of the range, where it isn't 1: both are in [0, white].

    Nothing is rounded or clamped; the floating dtype is kept. Raises ValueError for integers and other than 3 channels.
    """
    _check(rgb, "luma")
    red, green, blue = rgb.split(1, dim=-3)
    plane = (red * (_Y[0] / 255)).add_(green, alpha=_Y[1] / 255).add_(blue, alpha=_Y[2] / 255)
    return plane.add_(white * _OFFSET[0] / 255)


def rounded_luma(rgb: Tensor) -> Tensor:
    """Y of a uint8 picture, rounded as `rgb2ycbcr` does: (..., 3, H, W) -> (..., 1, H, W) float64, whole, 16 ... 235.

    Halves go up. The sums are of whole thousandths, so that no float dust decides what a half is. Raises ValueError for
    other dtypes and other than 3 channels.
    """
    if rgb.dtype != torch.uint8 or rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rounded_luma: the picture must be (..., 3, H, W) uint8; got {tuple(rgb.shape)} {rgb.dtype}")
    red, green, blue = (plane.to(torch.float64) for plane in rgb.split(1, dim=-3))
    thousandths = (
        (red * round(1000 * _Y[0])).add_(green, alpha=round(1000 * _Y[1])).add_(blue, alpha=round(1000 * _Y[2]))
    )
    return thousandths.add_(255_000 // 2).div_(255_000).floor_().add_(_OFFSET[0])


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """RGB -> YCbCr, (..., 3, H, W), both in [0, 1]; nothing is rounded or clamped, and the floating dtype is kept.

    Raises ValueError for integers and other than 3 channels.
    """
    _check(rgb, "rgb_to_ycbcr")
    return _mix(rgb, _forward()) + _offset(rgb)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """YCbCr -> RGB, (..., 3, H, W): the inverse of `rgb_to_ycbcr`, to rounding. RGB outside [0, 1] is not clamped.

    Raises ValueError for integers and other than 3 channels.
    """
    _check(ycbcr, "ycbcr_to_rgb")
    return _mix(ycbcr - _offset(ycbcr), torch.linalg.inv(_forward()))


def _forward() -> Tensor:
    return torch.tensor((_Y, _CB, _CR), dtype=torch.float64) / 255


def _offset(picture: Tensor) -> Tensor:
    return (torch.tensor(_OFFSET, dtype=torch.float64) / 255).to(picture)[:, None, None]


def _mix(picture: Tensor, matrix: Tensor) -> Tensor:
    """Each output channel is a row of the (3, 3) matrix times the input channels."""
    # Written out rather than as a matrix product, which torch may be set to compute in less than float32.
    channels = picture.split(1, dim=-3)
    rows = [[float(weight) for weight in row] for row in matrix]
    return torch.cat([a * channels[0] + b * channels[1] + c * channels[2] for a, b, c in rows], dim=-3)


def _check(picture: Tensor, name: str) -> None:
    if not picture.is_floating_point():
        raise ValueError(
            f"{name}: the picture must be floating point in [0, 1]; got {picture.dtype}; divide uint8 by 255"
        )
    if picture.ndim < 3 or picture.shape[-3] != 3:
        raise ValueError(f"{name}: the picture must be (..., 3, H, W); got {tuple(picture.shape)}")
