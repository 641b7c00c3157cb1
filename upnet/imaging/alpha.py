"""Upscaling with an alpha channel: the colours under transparent pixels, and alpha itself.

A network looks at the colours around a pixel, whatever their alpha. Most files store black under transparent pixels,
and that black would bleed into the edges of the opaque ones.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_TRUSTED = 16 / 255
"""Alpha from which a pixel's own colour counts fully: below it, colours that were divided by alpha are inexact."""
_NEIGHBOUR = 1 / 16
"""Weight of a diagonal neighbour in _blurred(): one such neighbour with a colour is enough to fill a pixel."""
_REACH = (1, 2, 4, 8, 16, 32)
"""Distances in pixels of the passes in fill_transparent(); their sum exceeds what networks look at around a pixel."""
_SUPPORT = 5
"""Side of the square of LR pixels that bicubic interpolation reads."""


def fill_transparent(colour: Tensor, alpha: Tensor) -> Tensor:
    """Replace the colours of transparent pixels by those of the nearest visible ones.

    colour: (C, h, w) floating point, straight colours: not multiplied by alpha.
    alpha:  (1, h, w) in [0, 1].

    Each pass gives pixels that lack a colour the mean of the colours around them, at a growing distance. Pixels that no
    pass reaches get the mean colour, or keep their own if they are faintly visible. Opaque pixels keep their colour
    exactly, and all pixels keep it where alpha is 0 everywhere. The result turns and mirrors as the image does.
    """
    weight = (alpha / _TRUSTED).clamp(max=1).pow(4)
    if weight.min() == 1 or weight.max() == 0:
        return colour
    filled = colour * weight
    mean = filled.sum((1, 2), keepdim=True) / weight.sum()
    for distance in _REACH:
        if weight.min() > 1 - 1e-6:
            return filled
        around = _blurred(weight, distance)
        gain = (around / _NEIGHBOUR).clamp_(max=1).mul_(1 - weight)
        share = gain / around.clamp_(min=1e-12)
        for plane in filled.split(1):  # one at a time: images are large
            plane.addcmul_(_blurred(plane, distance), share)
        weight = weight + gain
    return filled.addcmul_(torch.where(alpha > 0, colour, mean), 1 - weight)


def upscale_alpha(alpha: Tensor, scale: int, upscale: Callable[[Tensor], Tensor]) -> Tensor:
    """(1, h, w) in [0, 1] -> (1, s·h, s·w) by a network, which doesn't touch what is opaque or transparent.

    upscale: the network on one channel. Where alpha is 0 or 1 in a whole neighbourhood, it stays exactly that.
    """
    low, high = -_largest(-alpha), _largest(alpha)
    flat = (low == 1) | (high == 0)
    if flat.all():
        return _repeated(alpha, scale)
    return torch.where(_repeated(flat, scale), _repeated(alpha, scale), upscale(alpha).to(alpha))


def _blurred(planes: Tensor, distance: int) -> Tensor:
    """(C, h, w) by the kernel [1, 2, 1] / 4 along both axes, its taps `distance` apart; zeros outside the image."""
    for axis in (1, 2):
        length = planes.shape[axis]
        result = planes * 0.5
        if distance < length:
            step = length - distance
            result.narrow(axis, distance, step).add_(planes.narrow(axis, 0, step), alpha=0.25)
            result.narrow(axis, 0, step).add_(planes.narrow(axis, distance, step), alpha=0.25)
        planes = result
    return planes


def _largest(plane: Tensor) -> Tensor:
    return F.max_pool2d(plane[None], _SUPPORT, 1, _SUPPORT // 2)[0]


def _repeated(plane: Tensor, scale: int) -> Tensor:
    return plane.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
