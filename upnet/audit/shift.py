"""Sub-pixel shift between LR and HR: LR that was sampled off the half-pixel grid."""

from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from upnet.audit.finding import Finding, some
from upnet.audit.image_ops import as_plane
from upnet.audit.verification import Box, cut, extended, misfit, moved

TOLERATED = 0.05
"""LR pixels."""

_ROUNDS = 3
_MARGIN = 3
_LEAST = 24
_BLUR = 1.0
_MANY = 5


class Shift(NamedTuple):
    """Of LR against HR reduced on the half-pixel grid, in LR pixels.

    sides: at the left, top, right and bottom edge: along x at left and right, along y at top and bottom; positive where
           LR shows what lies further right or below.
    noise: how far the parts of the picture disagree, as the standard deviation of a side.
    """

    sides: tuple[float, float, float, float]
    noise: float


def measure(hr: np.ndarray, lr: np.ndarray, scale: int) -> Shift | None:
    """hr (s·h, s·w, 3) and lr (h, w, 3) uint8; None for pictures too small or too flat to tell."""
    height, width = lr.shape[:2]
    if min(height, width) < _LEAST:
        return None
    small = as_plane(Image.fromarray(lr).convert("L"))
    large = Image.fromarray(hr).convert("L")
    part: Box = (_MARGIN, _MARGIN, width - _MARGIN, height - _MARGIN)
    fixed = small[_MARGIN : height - _MARGIN, _MARGIN : width - _MARGIN]
    size = fixed.shape[0], fixed.shape[1]
    if float(fixed.std()) < 1.0:
        return None
    start: Box = (scale * part[0], scale * part[1], scale * part[2], scale * part[3])
    box, bounds = start, (0.0, 0.0, float(hr.shape[1]), float(hr.shape[0]))
    moving = cut(large, box, size)
    for _ in range(_ROUNDS):
        box = moved(box, misfit(fixed, moving, _BLUR), size)
        if box[0] < bounds[0] or box[1] < bounds[1] or box[2] > bounds[2] or box[3] > bounds[3]:
            return None  # shifted by more than the margin: these are two pictures, which is found elsewhere
        moving = cut(large, box, size)
    whole = extended(part, box, (0.0, 0.0, float(width), float(height)))
    expected = (0.0, 0.0, scale * width, scale * height)
    sides = tuple((found - due) / scale for found, due in zip(whole, expected, strict=True))
    return Shift((sides[0], sides[1], sides[2], sides[3]), _noise(fixed, moving))


def _noise(fixed: torch.Tensor, moving: torch.Tensor) -> float:
    """What is left of the shift in the four quarters, which is noise; the whole has four times as many pixels."""
    rows, columns = fixed.shape[0] // 2, fixed.shape[1] // 2
    left = [
        value
        for row in (slice(0, rows), slice(rows, None))
        for column in (slice(0, columns), slice(columns, None))
        for value in misfit(fixed[row, column], moving[row, column], _BLUR)
    ]
    return float(np.sqrt(np.mean(np.square(left)))) / 2


def judge(shifts: Mapping[str, Shift], scale: int) -> tuple[list[Finding], dict[str, object]]:
    """Findings on one scale of a set, by HR name, and the figures: the median at each side, and its noise."""
    if not shifts:
        return [], {}
    sides = np.array([shift.sides for shift in shifts.values()])
    middle = np.median(sides, axis=0)
    spread = 1.4826 * np.median(np.abs(sides - middle), axis=0)
    own = median(shift.noise for shift in shifts.values())
    noise = np.maximum(spread, own) / np.sqrt(len(shifts))
    figures: dict[str, object] = {
        "left, top, right, bottom": [round(float(value), 4) for value in middle],
        "noise": [round(float(value), 4) for value in noise],
        "pictures": len(shifts),
    }
    if bool(((np.abs(middle) > TOLERATED) & (np.abs(middle) > 3 * noise)).any()):
        return [_common(middle, noise, list(shifts), scale, figures)], figures
    # What is common among many is no exception; of a few it cannot be told.
    usual = float(spread.max()) if len(shifts) >= _MANY else 0.0
    odd = {
        name: max(shift.sides, key=abs)
        for name, shift in shifts.items()
        if max(map(abs, shift.sides)) > max(TOLERATED, 5 * shift.noise, 5 * usual)
    }
    return ([_single(odd, scale)] if odd else []), figures


def _common(
    middle: np.ndarray, noise: np.ndarray, names: list[str], scale: int, figures: Mapping[str, object]
) -> Finding:
    left, top, right, bottom = middle.tolist()
    error = f"± {float(noise.max()):.3f}"
    if abs(right - left) > abs(right + left) and abs(bottom - top) > abs(bottom + top):
        how = (
            f"LR is stretched against HR: shifted by {left:+.3f} LR pixels at the left edge and {right:+.3f} at the "
            f"right, {top:+.3f} at the top and {bottom:+.3f} at the bottom ({error}), as corner-aligned resizing "
            "does it."
        )
    else:
        x, y = (left + right) / 2, (top + bottom) / 2
        how = (
            f"LR is shifted against HR by {x:+.3f} LR pixels along the rows and {y:+.3f} down the columns ({error}), "
            f"that is {scale * x:+.2f} and {scale * y:+.2f} HR pixels."
        )
    return Finding(
        "shift",
        how,
        "A network learns to undo the shift; on LR without it its output is shifted, which costs decibels.",
        "Make LR on the half-pixel grid (align_corners=False, or upnet.imaging.imresize); taking every "
        f"{scale}th pixel shifts by {(1 - scale) / 2 / scale:+.3f} LR pixels.",
        names,
        scale,
        figures,
    )


def _single(odd: Mapping[str, float], scale: int) -> Finding:
    told = some([f"{name} ({value:+.2f})" for name, value in odd.items()])
    return Finding(
        "shift",
        f"{len(odd)} LR picture{'s are' if len(odd) > 1 else ' is'} shifted against HR, unlike the others, "
        f"by so many LR pixels: {told}.",
        "What such a picture teaches contradicts the others.",
        "Make its LR again from its HR, or take the pair out.",
        list(odd),
        scale,
        {"shifts": dict(odd)},
    )
