"""Sub-pixel shift between LR and HR. LR that was not sampled on the half-pixel grid is shifted."""

from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from upnet.audit.alignment import crop_and_resize, estimate_shift, shift_box, transform_box
from upnet.audit.candidates import Box
from upnet.audit.finding import Finding, count_noun, join_some
from upnet.audit.image_ops import to_tensor

TOLERANCE = 0.05
"""Shift in LR pixels up to which LR counts as aligned."""

_ROUNDS = 3
_MARGIN = 3
_MIN_SIDE = 24
_BLUR = 1.0
_MIN_IMAGES_FOR_SPREAD = 5


class Shift(NamedTuple):
    """Shift of LR against HR reduced on the half-pixel grid, in LR pixels.

    sides: at the left, top, right and bottom edge: along x at left and right, along y at top and bottom. A positive
           value means that LR shows content from further right or further down.
    noise: standard deviation of a side, estimated from the four quarters of the image.
    """

    sides: tuple[float, float, float, float]
    noise: float


def measure_shift(hr: np.ndarray, lr: np.ndarray, scale: int) -> Shift | None:
    """Measure the shift of an LR image; None for images that are too small or too flat.

    hr:    (s·h, s·w, 3) uint8.
    lr:    (h, w, 3) uint8.
    scale: s, an integer.

    >>> from upnet.data import Photographs
    >>> hr = Photographs(["coffee"]).images()[0].read()[:240, :320]
    >>> shift = measure_shift(hr, hr[::2, ::2], scale=2)  # the first pixel of each 2×2 block: by -0.25 LR pixels
    >>> all(abs(side + 0.25) < 0.05 for side in shift.sides)
    True
    """
    height, width = lr.shape[:2]
    if min(height, width) < _MIN_SIDE:
        return None
    lr_grey = to_tensor(Image.fromarray(lr).convert("L"))
    hr_grey = Image.fromarray(hr).convert("L")
    fixed = lr_grey[_MARGIN : height - _MARGIN, _MARGIN : width - _MARGIN]
    size = fixed.shape[0], fixed.shape[1]
    if float(fixed.std()) < 1.0:
        return None
    lr_box: Box = (_MARGIN, _MARGIN, width - _MARGIN, height - _MARGIN)
    hr_box: Box = (scale * lr_box[0], scale * lr_box[1], scale * lr_box[2], scale * lr_box[3])
    moving = crop_and_resize(hr_grey, hr_box, size)
    for _ in range(_ROUNDS):
        hr_box = shift_box(hr_box, estimate_shift(fixed, moving, _BLUR), size)
        if min(hr_box[:2]) < 0 or hr_box[2] > hr.shape[1] or hr_box[3] > hr.shape[0]:
            return None  # the shift exceeds the margin: the images differ, which the pairing check reports
        moving = crop_and_resize(hr_grey, hr_box, size)
    measured = transform_box((0.0, 0.0, float(width), float(height)), source=lr_box, target=hr_box)
    expected = (0.0, 0.0, scale * width, scale * height)
    left, top, right, bottom = ((position - grid) / scale for position, grid in zip(measured, expected, strict=True))
    return Shift((left, top, right, bottom), _noise(fixed, moving))


def _noise(fixed: torch.Tensor, moving: torch.Tensor) -> float:
    """Standard deviation of a side: half that of the four quarters' residual shifts, which have 1/4 of the pixels."""
    rows, columns = fixed.shape[0] // 2, fixed.shape[1] // 2
    residuals = [
        value
        for row in (slice(0, rows), slice(rows, None))
        for column in (slice(0, columns), slice(columns, None))
        for value in estimate_shift(fixed[row, column], moving[row, column], _BLUR)
    ]
    return float(np.sqrt(np.mean(np.square(residuals)))) / 2


def report_shifts(shifts: Mapping[str, Shift], scale: int) -> tuple[list[Finding], dict[str, object]]:
    """Findings on one scale of a set, and the measurements: the median at each side with its noise.

    shifts: HR name -> shift of its LR image.
    """
    if not shifts:
        return [], {}
    sides = np.array([shift.sides for shift in shifts.values()])
    centre = np.median(sides, axis=0)
    spread = 1.4826 * np.median(np.abs(sides - centre), axis=0)  # robust standard deviation between images
    noise = np.maximum(spread, median(shift.noise for shift in shifts.values())) / np.sqrt(len(shifts))
    measurements: dict[str, object] = {
        "left, top, right, bottom": [round(float(value), 4) for value in centre],
        "noise": [round(float(value), 4) for value in noise],
        "pictures": len(shifts),
    }
    if bool(((np.abs(centre) > TOLERANCE) & (np.abs(centre) > 3 * noise)).any()):
        return [_common_shift(centre, noise, list(shifts), scale, measurements)], measurements
    # With few images the spread is unreliable, and each image is compared with its own noise alone.
    spread_limit = 5 * float(spread.max()) if len(shifts) >= _MIN_IMAGES_FOR_SPREAD else 0.0
    outliers = {
        name: max(shift.sides, key=abs)
        for name, shift in shifts.items()
        if max(map(abs, shift.sides)) > max(TOLERANCE, 5 * shift.noise, spread_limit)
    }
    return ([_outliers(outliers, scale)] if outliers else []), measurements


def _common_shift(
    centre: np.ndarray, noise: np.ndarray, names: list[str], scale: int, measurements: Mapping[str, object]
) -> Finding:
    left, top, right, bottom = centre.tolist()
    error = f"± {float(noise.max()):.3f}"
    if abs(right - left) > abs(right + left) and abs(bottom - top) > abs(bottom + top):
        problem = (
            f"LR is stretched against HR, as by corner-aligned resizing: it is shifted by {left:+.3f} LR pixels at the "
            f"left edge, {right:+.3f} at the right, {top:+.3f} at the top and {bottom:+.3f} at the bottom ({error})."
        )
    else:
        x, y = (left + right) / 2, (top + bottom) / 2
        problem = (
            f"LR is shifted against HR by {x:+.3f} LR pixels horizontally and {y:+.3f} vertically ({error}), "
            f"which is {scale * x:+.2f} and {scale * y:+.2f} HR pixels."
        )
    return Finding(
        "shift",
        problem,
        "A network learns to undo the shift. On LR without shift its output is shifted, which lowers PSNR.",
        "Make LR on the half-pixel grid (align_corners=False, or upnet.imaging.imresize). Subsampling by "
        f"{scale} from the first pixel shifts by {(1 - scale) / 2 / scale:+.3f} LR pixels.",
        names,
        scale,
        measurements,
    )


def _outliers(shifts: Mapping[str, float], scale: int) -> Finding:
    values = join_some([f"{name} ({value:+.2f})" for name, value in shifts.items()])
    count = count_noun(len(shifts), "LR image", ("is", "are"))
    return Finding(
        "shift",
        f"{count} shifted against HR, unlike the others (shift in LR pixels): {values}.",
        "A network is trained with inconsistent pairs.",
        "Make their LR images from HR again, or remove the pairs.",
        list(shifts),
        scale,
        {"shifts": dict(shifts)},
    )
