"""Upscale images with transparency: fill the colours of transparent pixels, and upscale the alpha channel.

A network reads the colours around a pixel and ignores their alpha. Most files store black in transparent pixels; this
black would darken the edges of opaque objects.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_FULL_WEIGHT_ALPHA = 16 / 255
"""From this alpha on, the colour of a pixel has full weight. Below it, rounding makes stored colours inexact."""
_NEIGHBOUR = 1 / 16
"""Weight of a diagonal neighbour in _blur(): one visible neighbour is enough to fill a pixel."""
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
    weight = (alpha / _FULL_WEIGHT_ALPHA).clamp(max=1).pow(4)
    if weight.min() == 1 or weight.max() == 0:
        return colour
    filled = colour * weight
    mean = filled.sum((1, 2), keepdim=True) / weight.sum()
    for distance in _DISTANCES:
        if weight.min() > 1 - 1e-6:
            return filled
        blurred = _blur(weight, distance)
        gain = (blurred / _NEIGHBOUR).clamp_(max=1).mul_(1 - weight)
        factor = gain / blurred.clamp_(min=1e-12)
        for plane in filled.split(1):  # one at a time: images are large
            plane.addcmul_(_blur(plane, distance), factor)
        weight = weight + gain
    return filled.addcmul_(torch.where(alpha > 0, colour, mean), 1 - weight)


def upscale_alpha(alpha: Tensor, scale: int, upscale: Callable[[Tensor], Tensor]) -> Tensor:
    """Upscale an alpha channel with a network. Where alpha is 0 or 1 in the whole neighbourhood, it is copied exactly.

    alpha:   (1, h, w) in [0, 1].
    upscale: the network on one channel, (1, h, w) -> (1, scale·h, scale·w).

    Returns (1, scale·h, scale·w).

    >>> opaque = torch.ones(1, 2, 3)
    >>> upscale_alpha(opaque, 2, upscale=lambda alpha: alpha).shape  # without a call of `upscale`
    torch.Size([1, 4, 6])
    """
    lowest, highest = -_local_max(-alpha), _local_max(alpha)
    flat = (lowest == 1) | (highest == 0)
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
