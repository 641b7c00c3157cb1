"""One picture of a source, decoded: HR, and LR beside it."""

import hashlib
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from upnet.data.sources.base import Entry
from upnet.imresize import imresize

RESIZING = "imresize, bicubic a=-0.5, antialiased, border symmetric, uint8"
"""How LR is made where a source has none of its own; part of every store's key."""


class Pair(NamedTuple):
    """A decoded picture: hr (H, W, 3), lr (H / scale, W / scale, 3), uint8.

    digest: of the HR picture as it was read.
    made:   whether LR was made here, rather than read from a file of its own.
    """

    hr: np.ndarray
    lr: np.ndarray
    digest: str
    made: bool


def read_pair(entry: Entry, scale: int, max_pixels: int | None = None) -> Pair:
    """Decode one picture and its LR, made from the whole HR picture where the source has none.

    Raises ValueError, naming the picture, where it cannot be read, where it is smaller than one LR pixel, and where LR
    isn't HR / scale.
    """
    hr = entry.read(max_pixels)
    digest = hashlib.sha256(repr(hr.shape).encode() + np.ascontiguousarray(hr).tobytes()).hexdigest()
    lr = entry.read_lr(scale, max_pixels)
    height, width = (side // scale for side in hr.shape[:2])
    if min(height, width) < 1:
        raise ValueError(f"{entry.name}: a picture of {_size(hr)} pixels is too small for scale {scale}")
    if lr is None:
        hr = hr[: scale * height, : scale * width]
        lr = imresize(hr, Fraction(1, scale), border="symmetric")
        return Pair(hr, lr, digest, made=True)
    if lr.shape[:2] != (height, width):
        raise ValueError(
            f"{entry.name}: LR must be HR / {scale}, that is {height}×{width} pixels for an HR of {_size(hr)}; "
            f"it is {_size(lr)}"
        )
    return Pair(hr[: scale * height, : scale * width], lr, digest, made=False)


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[0]}×{picture.shape[1]}"
