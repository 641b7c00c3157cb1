"""Function-matched starts: weights with which an operator that learns begins as bilinear interpolation."""

import math

import torch
from torch import Tensor, nn

from upnet.upsample.base import Upsampler
from upnet.upsample.bilinear import Bilinear
from upnet.utils.seeding import on_meta_device


def tent(distance: Tensor) -> Tensor:
    """1 − |t|, zero from ±1 on: the weight of an input pixel at a distance in input pixels."""
    return (1 - distance.abs()).clamp(min=0)


def mixing(channels: int, out_channels: int) -> Tensor:
    """(O, C): which channels an operator begins with; the identity where O = C, else drawn as a 1×1 convolution is."""
    if channels == out_channels:
        return torch.eye(channels)
    return nn.init.uniform_(torch.empty(out_channels, channels), -(channels**-0.5), channels**-0.5)


def stamp(kernel_size: int, scale: int, padding: int) -> Tensor:
    """(k,) in float64: one axis of the transposed convolution that interpolates, y[o] = Σ w[o − s·n + p]·x[n].

    Raises ValueError where the tent, 2·s − s%2 weights wide, doesn't fit the kernel.
    """
    needed = 2 * scale - scale % 2
    if kernel_size < needed:
        raise ValueError(
            f"init=bilinear needs a kernel_size of at least {needed} at scale {scale}, as wide as the tent that "
            f"interpolates; got {kernel_size}: take a larger one, or init=plain"
        )
    return tent((torch.arange(kernel_size, dtype=torch.float64) - padding - (scale - 1) / 2) / scale)


def phases(kernel_size: int, scale: int) -> Tensor:
    """(s, k) in float64: one axis of the s convolutions on the input grid that interpolate, one for each phase.

    Raises ValueError where the kernel has no neighbours to interpolate between.
    """
    if kernel_size < 3 and scale > 1:
        raise ValueError(
            f"init=bilinear needs a kernel_size of 3 or larger, which has neighbours to interpolate between; "
            f"got {kernel_size}: take a larger one, or another init"
        )
    places = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    return tent(places[:, None] - (torch.arange(kernel_size) - kernel_size // 2))


@torch.no_grad()
def correction(fixed: Upsampler, kernel_size: int) -> Tensor:
    """(k,) in float64: one axis of the convolution that makes bilinear interpolation of what `fixed` makes.

    fixed: an operator of one channel.

    Raises ValueError where no kernel of that size does.
    """
    if on_meta_device():
        return torch.empty(kernel_size)
    if not fixed.requires:
        drop = kernel_size + math.ceil(4 * fixed.scale)
        length = math.ceil(2 * drop / fixed.scale) + 60
        units = torch.eye(length, dtype=torch.float64).view(length, 1, 1, length)
        made, wanted = (
            operator.double().upsample_full(units)[:, 0, 0] for operator in (fixed, Bilinear(1, fixed.scale))
        )
        windows = made.unfold(1, kernel_size, 1)[:, drop:-drop].reshape(-1, kernel_size)
        middles = wanted[:, kernel_size // 2 :][:, drop : drop + windows.shape[0] // length].reshape(-1, 1)
        kernel = torch.linalg.lstsq(windows, middles, driver="gelsy").solution
        if (windows @ kernel - middles).abs().max() < 1e-9:
            return torch.where(kernel.abs() < 1e-9, 0.0, kernel)[:, 0]
    raise ValueError(
        f"init=bilinear: no convolution of {kernel_size}×{kernel_size} makes bilinear interpolation of what "
        f"{type(fixed).__name__} makes at scale {fixed.scale}; set fixed to Bilinear, which needs none, "
        "or take a larger kernel_size behind Nearest, or init=plain"
    )
