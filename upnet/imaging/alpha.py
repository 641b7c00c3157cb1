"""Upscaling with an alpha channel: fill the colours of transparent pixels, and upscale alpha itself.

A network reads the colours around a pixel, whatever their alpha. Most files store black in transparent pixels, and that
black would bleed into the edges of opaque objects.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_TRUSTED = 16 / 255
"""Alpha from which the colour of a pixel has full weight; below it, colours that were divided by alpha are inexact."""
_NEIGHBOUR = 1 / 16
"""Weight of a diagonal neighbour in _blur(): one coloured neighbour is enough to fill a pixel."""
_DISTANCES = (1, 2, 4, 8, 16, 32)
"""Distances in pixels of the passes in fill_transparent(); their sum exceeds the receptive radius of networks."""
_BICUBIC_SUPPORT = 5
"""Side of the square of LR pixels that bicubic interpolation reads."""


def fill_transparent(colour: Tensor, alpha: Tensor) -> Tensor:
    """Replace the colours of transparent pixels by those of the nearest visible pixels.

    colour: (C, h, w) floating point, not premultiplied by alpha.
    alpha:  (1, h, w) in [0, 1].

    Returns (C, h, w). Each pass fills pixels without a colour by the mean of the colours around them, at a growing
    distance. Pixels that no pass reaches get the mean colour of the image, or keep their own if alpha is above 0.
    Opaque pixels stay exactly the same, and so does an image that is transparent everywhere. The function commutes with
    rotation and mirroring.

    >>> fill_transparent(torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.0, 1.0]]]))
    tensor([[[1., 1.]]])
    """
    weight = (alpha / _TRUSTED).clamp(max=1).pow(4)
    if weight.min() == 1 or weight.max() == 0:
        return colour
    filled = colour * weight
    mean = filled.sum((1, 2), keepdim=True) / weight.sum()
    for distance in _DISTANCES:
        if weight.min() > 1 - 1e-6:
            return filled
        around = _blur(weight, distance)
        gain = (around / _NEIGHBOUR).clamp_(max=1).mul_(1 - weight)
        share = gain / around.clamp_(min=1e-12)
        for plane in filled.split(1):  # one at a time: images are large
            plane.addcmul_(_blur(plane, distance), share)
        weight = weight + gain
    return filled.addcmul_(torch.where(alpha > 0, colour, mean), 1 - weight)


def upscale_alpha(alpha: Tensor, scale: int, upscale: Callable[[Tensor], Tensor]) -> Tensor:
    """Upscale alpha by a network, except where it is constant 0 or 1 in the neighbourhood; there it stays exact.

    alpha:   (1, h, w) in [0, 1].
    upscale: the network on one channel, (1, h, w) -> (1, scale·h, scale·w).

    Returns (1, scale·h, scale·w).
    """
    low, high = -_local_max(-alpha), _local_max(alpha)
    flat = (low == 1) | (high == 0)
    if flat.all():
        return _repeat(alpha, scale)
    return torch.where(_repeat(flat, scale), _repeat(alpha, scale), upscale(alpha).to(alpha))


def _blur(planes: Tensor, distance: int) -> Tensor:
    """Blur (C, h, w) along both axes by the kernel [1, 2, 1] / 4 with dilation `distance` and zero padding."""
    for axis in (1, 2):
        length = planes.shape[axis]
        result = planes * 0.5
        if distance < length:
            step = length - distance
            result.narrow(axis, distance, step).add_(planes.narrow(axis, 0, step), alpha=0.25)
            result.narrow(axis, 0, step).add_(planes.narrow(axis, distance, step), alpha=0.25)
        planes = result
    return planes


def _local_max(plane: Tensor) -> Tensor:
    return F.max_pool2d(plane[None], _BICUBIC_SUPPORT, 1, _BICUBIC_SUPPORT // 2)[0]


def _repeat(plane: Tensor, scale: int) -> Tensor:
    return plane.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
