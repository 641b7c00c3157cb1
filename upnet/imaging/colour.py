"""Convert between RGB and YCbCr (ITU-R BT.601, studio range) as MATLAB's `rgb2ycbcr` and `ycbcr2rgb` do.

Y is in [16/255, 235/255]; Cb and Cr are in [16/255, 240/255], with 128/255 for grey.
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
    """Luma Y of RGB: (65.481 R + 128.553 G + 24.966 B + 16) / 255, neither rounded nor clamped.

    rgb:   (..., 3, H, W) floating point in [0, white].
    white: the value of white, 1 or 255.

    Returns (..., 1, H, W) of the same dtype, in [0, white]. Raises ValueError for integers and for other than 3
    channels.

    >>> f"{255 * luma(torch.ones(3, 1, 1)).item():.1f}"
    '235.0'
    """
    _check(rgb, "luma")
    red, green, blue = rgb.split(1, dim=-3)
    plane = (red * (_Y[0] / 255)).add_(green, alpha=_Y[1] / 255).add_(blue, alpha=_Y[2] / 255)
    return plane.add_(white * _OFFSET[0] / 255)


def rounded_luma(rgb: Tensor) -> Tensor:
    """Luma Y of a uint8 image, rounded as MATLAB's `rgb2ycbcr` does: ties are rounded up.

    rgb: (..., 3, H, W) uint8.

    Returns (..., 1, H, W) float64, integers in 16..235. Raises ValueError for other dtypes and for other than 3
    channels.

    >>> rounded_luma(torch.full((3, 1, 1), 255, dtype=torch.uint8)).item()
    235.0
    """
    if rgb.dtype != torch.uint8 or rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rounded_luma: the image must be (..., 3, H, W) uint8; got {tuple(rgb.shape)} {rgb.dtype}")
    red, green, blue = (plane.to(torch.float64) for plane in rgb.split(1, dim=-3))
    # In integers, thousandths of Y, so that floating-point errors cannot change how a tie is rounded.
    thousandths = (
        (red * round(1000 * _Y[0])).add_(green, alpha=round(1000 * _Y[1])).add_(blue, alpha=round(1000 * _Y[2]))
    )
    return thousandths.add_(255_000 // 2).div_(255_000).floor_().add_(_OFFSET[0])


def rgb_to_ycbcr(rgb: Tensor) -> Tensor:
    """RGB to YCbCr, neither rounded nor clamped.

    rgb: (..., 3, H, W) floating point in [0, 1].

    Returns the same shape and dtype. Raises ValueError for integers and for other than 3 channels.

    >>> (255 * rgb_to_ycbcr(torch.ones(3, 1, 1, dtype=torch.float64))).flatten().round().tolist()
    [235.0, 128.0, 128.0]
    """
    _check(rgb, "rgb_to_ycbcr")
    return _mix(rgb, _rgb_to_ycbcr_matrix()) + _offset(rgb)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """YCbCr to RGB, the inverse of `rgb_to_ycbcr`. RGB outside [0, 1] is not clamped.

    ycbcr: (..., 3, H, W) floating point.

    Returns the same shape and dtype. Raises ValueError for integers and for other than 3 channels.

    >>> rgb = torch.rand(3, 4, 5, dtype=torch.float64)
    >>> torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb)
    True
    """
    _check(ycbcr, "ycbcr_to_rgb")
    return _mix(ycbcr - _offset(ycbcr), torch.linalg.inv(_rgb_to_ycbcr_matrix()))


def _rgb_to_ycbcr_matrix() -> Tensor:
    return torch.tensor((_Y, _CB, _CR), dtype=torch.float64) / 255


def _offset(image: Tensor) -> Tensor:
    return (torch.tensor(_OFFSET, dtype=torch.float64) / 255).to(image)[:, None, None]


def _mix(image: Tensor, matrix: Tensor) -> Tensor:
    """Multiply the (3, 3) matrix with the channels of each pixel."""
    # Written as sums, because settings of torch may reduce the precision of matrix products (TF32).
    channels = image.split(1, dim=-3)
    rows = [[float(weight) for weight in row] for row in matrix]
    return torch.cat([a * channels[0] + b * channels[1] + c * channels[2] for a, b, c in rows], dim=-3)


def _check(image: Tensor, name: str) -> None:
    if not image.is_floating_point():
        raise ValueError(f"{name}: the image must be floating point in [0, 1]; got {image.dtype}; divide uint8 by 255")
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"{name}: the image must be (..., 3, H, W); got {tuple(image.shape)}")
