"""Operations on greyscale images: conversion, blur, local contrast normalisation, rotations and reflections."""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

ORIENTATIONS = (
    "",
    "mirrored",
    "flipped vertically",
    "rotated by 180°",
    "mirrored and rotated by 90°",
    "rotated by 90°",
    "rotated by 270°",
    "mirrored and rotated by 270°",
)
"""The eight rotations and reflections. Of the index, value 4 transposes, then 2 flips rows and 1 flips columns."""

Size = tuple[int, int]
"""Height and width in pixels."""


def to_grey(rgb: np.ndarray, min_side: int | None = None) -> Image.Image:
    """Convert (H, W, 3) uint8 to a Pillow image of mode L (Rec. 601 luma).

    min_side: if given, large images are first reduced by an integer factor (box filter) that leaves at least this many
              pixels on the longer side.

    >>> to_grey(np.zeros((4, 6, 3), np.uint8)).size
    (6, 4)
    """
    image = Image.fromarray(rgb)
    if min_side is not None and (factor := max(rgb.shape[:2]) // min_side) > 1 and min(rgb.shape[:2]) >= 2 * factor:
        image = image.reduce(factor)
    return image.convert("L")


def to_tensor(image: Image.Image) -> Tensor:
    """Convert a Pillow image of one channel to (h, w) float32; values keep their range, 0 to 255."""
    return torch.from_numpy(np.array(image, dtype=np.float32))


def reorient_image(image: Image.Image, orientation: int) -> Image.Image:
    """Rotate or reflect an image; `orientation` is an index of ORIENTATIONS."""
    if orientation & 4:
        image = image.transpose(Image.Transpose.TRANSPOSE)
    if orientation & 2:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if orientation & 1:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image


def reorient_tensor(x: Tensor, orientation: int) -> Tensor:
    """Rotate or reflect (..., h, w) as `reorient_image` does.

    >>> reorient_tensor(torch.tensor([[1, 2], [3, 4]]), 4)
    tensor([[1, 3],
            [2, 4]])
    """
    if orientation & 4:
        x = x.transpose(-1, -2)
    flips = [axis for bit, axis in ((2, -2), (1, -1)) if orientation & bit]
    return x.flip(flips) if flips else x


def reorient_points(x: Tensor, y: Tensor, size: Size, orientation: int) -> tuple[Tensor, Tensor, Size]:
    """Coordinates of points, and the size (h, w) of their image, after `reorient_image`."""
    height, width = size
    if orientation & 4:
        x, y, height, width = y, x, width, height
    return (width - x if orientation & 1 else x), (height - y if orientation & 2 else y), (height, width)


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (..., h, w) with reflected borders; the kernel ends at 3 sigma (in pixels).

    >>> round(float(gaussian_blur(torch.ones(5, 5), 1.0).mean()), 4)
    1.0
    """
    x = image.reshape(1, -1, *image.shape[-2:])
    # On CPUs, sums of shifted images are faster than a convolution of a single channel.
    for axis in (2, 3):
        length = x.shape[axis]
        weights = _gaussian_weights(min(math.ceil(3 * sigma), length - 1), sigma)
        radius = len(weights) - 1
        padded = F.pad(x, (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0), mode="reflect")
        x = padded.narrow(axis, radius, length) * weights[0]
        for offset in range(1, radius + 1):
            neighbours = padded.narrow(axis, radius - offset, length) + padded.narrow(axis, radius + offset, length)
            x.add_(neighbours, alpha=weights[offset])
    return x.reshape(image.shape)


@lru_cache(maxsize=256)
def _gaussian_weights(radius: int, sigma: float) -> list[float]:
    """Weights of a normalised Gaussian at distance 0, 1, …, radius from its centre."""
    side = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(radius + 1)]
    total = 2 * sum(side) - side[0]
    return [weight / total for weight in side]


def normalise_contrast(image: Tensor, sigma: float = 3.0, floor: float = 3.0) -> Tensor:
    """Subtract the local mean of (h, w), values 0 to 255, and divide by the local standard deviation.

    sigma: of the Gaussian window, in pixels.
    floor: added to the standard deviation, in grey levels, so that noise in flat areas is not amplified.
    """
    detail = image - gaussian_blur(image, sigma)
    return detail / (gaussian_blur(detail * detail, sigma).clamp_min(0).sqrt() + floor)


def cosine_similarity(a: Tensor, b: Tensor) -> float:
    """Cosine similarity of two tensors of one shape, -1 to 1; 0 if one of them is zero.

    >>> cosine_similarity(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))
    1.0
    """
    norm = float(a.norm() * b.norm())
    return float((a * b).sum()) / norm if norm > 0 else 0.0
