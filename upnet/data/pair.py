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

    digest:     of the HR picture as it was read.
    made:       whether LR was made here, rather than read from a file of its own.
    rounded_up: whether the LR file had HR / scale pixels rounded up.
    """

    hr: np.ndarray
    lr: np.ndarray
    digest: str
    made: bool
    rounded_up: bool = False


def read_pair(entry: Entry, scale: int, max_pixels: int | None = None, lr_rounded_up: bool = False) -> Pair:
    """Decode one picture and its LR, made from the whole HR picture where the source has none.

    lr_rounded_up: accept LR of HR / scale pixels rounded up. Its last row and column, which lie partly beyond HR, are
                   cut off, as is what HR has beyond a multiple of the scale.

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
    rounded_up = lr.shape[:2] != (height, width)
    if rounded_up and not (lr_rounded_up and _is_rounded_up(hr, lr, scale)):
        raise ValueError(
            f"{entry.name}: LR must be HR / {scale}, that is {height}×{width} pixels for an HR of {_size(hr)}; "
            f"it is {_size(lr)}{_cure(hr, lr, scale)}"
        )
    return Pair(hr[: scale * height, : scale * width], lr[:height, :width], digest, False, rounded_up)


def _is_rounded_up(hr: np.ndarray, lr: np.ndarray, scale: int) -> bool:
    """Whether each side of LR is HR / scale, rounded down or up."""
    sides = zip(hr.shape[:2], lr.shape[:2], strict=True)
    return all(0 <= small - large // scale <= (large % scale > 0) for large, small in sides)


def _cure(hr: np.ndarray, lr: np.ndarray, scale: int) -> str:
    """What can be done about an LR picture of another size."""
    if _is_rounded_up(hr, lr, scale):
        return (
            ", which is rounded up; data.lr_rounded_up=true accepts that, and crops HR to a multiple of the scale and "
            "LR to the same part"
        )
    ratio = round(hr.shape[0] / lr.shape[0])
    if ratio not in (0, scale) and _is_rounded_up(hr, lr, ratio):
        return f", as for scale={ratio}; take that scale, or the LR pictures of this one"
    return "; make LR again from HR, or crop HR to the part that LR shows"


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[0]}×{picture.shape[1]}"
