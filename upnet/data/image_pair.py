"""Decode an HR image and its LR image: LR is read from the source, or made from the complete HR image."""

import hashlib
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from upnet.data.sources.base import ImageEntry
from upnet.imaging.imresize import imresize
from upnet.utils.errors import UserError

LR_METHOD = "imresize, bicubic a=-0.5, antialiased, border symmetric, uint8"
"""How LR is made if a source provides none; part of every store's key."""

ROUNDED_UP_CURE = (
    "Set data.lr_rounded_up=true to accept LR sizes that are rounded up: HR is cropped to a multiple of the scale, and "
    "LR to the same part"
)


class ImagePair(NamedTuple):
    """A decoded image: hr (H, W, 3), lr (H / scale, W / scale, 3), uint8.

    digest:     SHA-256 of the HR image before it was cropped.
    resized:    whether LR was made from HR; otherwise it was read from a file.
    rounded_up: whether the LR file had HR / scale pixels rounded up.
    """

    hr: np.ndarray
    lr: np.ndarray
    digest: str
    resized: bool
    rounded_up: bool = False


def read_pair(entry: ImageEntry, scale: int, max_pixels: int | None = None, lr_rounded_up: bool = False) -> ImagePair:
    """Decode one image and its LR image. If the source provides no LR, it is made from the complete HR image.

    scale:         HR size / LR size, an integer.
    max_pixels:    an image with more pixels is rejected; see `upnet.imaging.reading.read_rgb`.
    lr_rounded_up: accept LR of HR / scale pixels rounded up. Its last row and column, which extend beyond HR, are
                   cropped, and so are the last rows and columns of HR beyond a multiple of the scale.

    Raises BrokenImageError if the image cannot be read; UserError if it is smaller than one LR pixel, or if the size
    of LR isn't HR / scale.

    >>> from upnet.data import DeadLeaves
    >>> pair = read_pair(DeadLeaves(count=1, size=33).images()[0], scale=2)
    >>> pair.hr.shape, pair.lr.shape
    ((32, 32, 3), (16, 16, 3))
    """
    hr = entry.read(max_pixels)
    digest = hashlib.sha256(repr(hr.shape).encode() + np.ascontiguousarray(hr).tobytes()).hexdigest()
    lr = entry.read_lr(scale, max_pixels)
    height, width = (side // scale for side in hr.shape[:2])
    if min(height, width) < 1:
        raise UserError(f"{entry.name}: an image of {_format_size(hr)} pixels is too small for scale {scale}")
    cropped = hr[: scale * height, : scale * width]
    if lr is None:
        return ImagePair(cropped, imresize(cropped, Fraction(1, scale), border="symmetric"), digest, resized=True)
    rounded_up = lr.shape[:2] != (height, width)
    if rounded_up and not (lr_rounded_up and _is_rounded(hr, lr, scale)):
        raise UserError(
            f"{entry.name}: LR must be HR / {scale}, that is {height}×{width} pixels for HR of {_format_size(hr)}; it "
            f"is {_format_size(lr)}",
            cure=_size_cure(hr, lr, scale),
        )
    return ImagePair(cropped, lr[:height, :width], digest, resized=False, rounded_up=rounded_up)


def _is_rounded(hr: np.ndarray, lr: np.ndarray, scale: int) -> bool:
    """Whether each side of LR is HR / scale, rounded down or up."""
    sides = zip(hr.shape[:2], lr.shape[:2], strict=True)
    return all(0 <= lr_side - hr_side // scale <= (hr_side % scale > 0) for hr_side, lr_side in sides)


def _size_cure(hr: np.ndarray, lr: np.ndarray, scale: int) -> str:
    """What to do about an LR image of a wrong size."""
    if _is_rounded(hr, lr, scale):
        return ROUNDED_UP_CURE
    ratio = round(hr.shape[0] / lr.shape[0])
    if ratio not in (0, scale) and _is_rounded(hr, lr, ratio):
        return f"These LR images are for scale={ratio}: set that scale, or provide LR images of scale {scale}"
    return "Make LR from HR again, or crop HR to the part that LR shows"


def _format_size(image: np.ndarray) -> str:
    return f"{image.shape[0]}×{image.shape[1]}"
