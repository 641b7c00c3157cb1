"""Grey planes: reduced for looking, blurred, freed of brightness and contrast, turned and mirrored."""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

TURNS = (
    "",
    "mirrored",
    "upside down and mirrored",
    "turned by 180°",
    "mirrored and turned by 90°",
    "turned by 90°",
    "turned by 270°",
    "mirrored and turned by 270°",
)
"""What the eight symmetries of a rectangle are called; bit 4 swaps the axes first, then 2 flips rows and 1 columns."""

Size = tuple[int, int]


def grey_image(rgb: np.ndarray, largest: int | None = None) -> Image.Image:
    """Rec. 601 grey of (H, W, 3) uint8 as a Pillow image of mode L, reduced by a whole factor towards `largest` sides.

    The reduction by boxes keeps at least `largest` pixels on the longer side.
    """
    image = Image.fromarray(rgb)
    if largest is not None and (factor := max(rgb.shape[:2]) // largest) > 1 and min(rgb.shape[:2]) >= 2 * factor:
        image = image.reduce(factor)
    return image.convert("L")


def turned(image: Image.Image, turn: int) -> Image.Image:
    """One of the eight symmetries of a picture."""
    if turn & 4:
        image = image.transpose(Image.Transpose.TRANSPOSE)
    if turn & 2:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if turn & 1:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image


def turned_square(squares: Tensor, turn: int) -> Tensor:
    """The same symmetry of (..., n, n)."""
    if turn & 4:
        squares = squares.transpose(-1, -2)
    flips = [axis for bit, axis in ((2, -2), (1, -1)) if turn & bit]
    return squares.flip(flips) if flips else squares


def turned_points(x: Tensor, y: Tensor, size: Size, turn: int) -> tuple[Tensor, Tensor, Size]:
    """Where points of a picture of size (h, w) lie after it is turned, and its size then."""
    height, width = size
    if turn & 4:
        x, y, height, width = y, x, width, height
    return (width - x if turn & 1 else x), (height - y if turn & 2 else y), (height, width)


def blurred(plane: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (..., h, w), mirrored at the border; sigma in pixels."""
    x = plane.reshape(1, -1, *plane.shape[-2:])
    # Sums of shifted planes take a fraction of the time of a convolution with a single channel.
    for axis in (2, 3):
        length = x.shape[axis]
        taps = _taps(min(math.ceil(3 * sigma), length - 1), sigma)
        radius = len(taps) - 1
        wide = F.pad(x, (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0), mode="reflect")
        x = wide.narrow(axis, radius, length) * taps[0]
        for off in range(1, radius + 1):
            both = wide.narrow(axis, radius - off, length) + wide.narrow(axis, radius + off, length)
            x.add_(both, alpha=taps[off])
    return x.reshape(plane.shape)


@lru_cache(maxsize=256)
def _taps(radius: int, sigma: float) -> list[float]:
    """The middle of a Gaussian, and its one side."""
    side = [math.exp(-0.5 * (off / sigma) ** 2) for off in range(radius + 1)]
    whole = 2 * sum(side) - side[0]
    return [value / whole for value in side]


def structure(plane: Tensor, sigma: float = 3.0, floor: float = 3.0) -> Tensor:
    """(h, w) in 0..255 without local brightness and contrast: less its blur, divided by the local deviation.

    floor: grey levels added to the deviation, so that the noise of a flat sky stays small.
    """
    detail = plane - blurred(plane, sigma)
    return detail / (blurred(detail * detail, sigma).clamp_min(0).sqrt() + floor)


def correlation(a: Tensor, b: Tensor) -> float:
    """Cosine of two planes of one size, -1..1; 0 where one of them is flat."""
    norm = float(a.norm() * b.norm())
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def as_plane(image: Image.Image) -> Tensor:
    """(h, w) float32 of a Pillow image of one channel."""
    return torch.from_numpy(np.array(image, dtype=np.float32))
