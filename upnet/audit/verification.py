"""Verification of candidate matches: align two images and compute the correlation of their shared region."""

import math
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from upnet.audit.candidates import Box, Candidate
from upnet.audit.features import Features
from upnet.audit.image_ops import (
    ORIENTATIONS,
    Size,
    cosine_similarity,
    gaussian_blur,
    normalise_contrast,
    reorient_image,
    to_tensor,
)

MATCH_THRESHOLD = 0.65
"""Correlation from which two images count as near duplicates; benchmarks/audit.py calibrates it."""

_MIN_SHARED_AREA = 0.12
_MIN_GRID_SIDE = 12
_FULL_AREA = 0.95


class _Round(NamedTuple):
    """One round of alignment.

    side:            side of a square with as many pixels as the grid on which the images are compared.
    blur:            sigma in pixels of that grid.
    min_correlation: correlation needed for another round.
    """

    side: int
    blur: float
    min_correlation: float


_ROUNDS = (
    _Round(36, 2.0, -1.0),
    _Round(36, 1.5, -1.0),
    _Round(48, 1.0, 0.25),
    _Round(64, 0.7, 0.35),
    _Round(80, 0.7, 0.45),
    _Round(80, 0.7, 0.5),
)


class EdgeShift(NamedTuple):
    """Shift of one image against another in pixels: along x at the left and right edge, along y at top and bottom.

    A positive shift means that the content must be read from further right or further down.
    """

    left: float
    top: float
    right: float
    bottom: float


def estimate_shift(fixed: Tensor, moving: Tensor, blur: float) -> EdgeShift:
    """Estimate shift and stretch of `moving` against `fixed`, both (h, w), by one least-squares step (Lucas–Kanade).

    Lucas and Kanade, "An iterative image registration technique with an application to stereo vision" (1981,
    https://www.ijcai.org/Proceedings/81-2/Papers/017.pdf).

    blur: sigma in pixels of a Gaussian blur of both images; more blur detects larger shifts.

    >>> x = torch.arange(48.0)
    >>> wave = torch.sin(x / 6) * torch.cos(x / 5)[:, None]
    >>> round(estimate_shift(wave[:, 1:], wave[:, :-1], blur=1.0).left, 1)
    1.0
    """
    fixed, moving = (gaussian_blur(image, blur)[1:-1, 1:-1] if blur else image[1:-1, 1:-1] for image in (fixed, moving))
    mean = (fixed + moving) / 2
    gradient_x = (mean[1:-1, 2:] - mean[1:-1, :-2]) / 2
    gradient_y = (mean[2:, 1:-1] - mean[:-2, 1:-1]) / 2
    height, width = gradient_x.shape
    x = (torch.arange(width) + 0.5) / width - 0.5
    y = ((torch.arange(height) + 0.5) / height - 0.5)[:, None]
    terms = (gradient_x, gradient_x * x, gradient_y, gradient_y * y)
    columns = torch.stack([term.reshape(-1) for term in terms], dim=1).double()
    target = (fixed - moving)[1:-1, 1:-1].reshape(-1).double()
    normal = columns.T @ columns
    # Ridge regression: an image without structure along an axis gives no information, and its shift becomes zero.
    normal = normal + torch.eye(4, dtype=torch.float64) * (1e-6 * normal.diagonal().max() + 1e-9)
    shift_x, stretch_x, shift_y, stretch_y = torch.linalg.solve(normal, columns.T @ target).tolist()
    # The gradients end two pixels inside the edges.
    edge_x, edge_y = (width + 4) / width / 2, (height + 4) / height / 2
    return EdgeShift(
        shift_x - stretch_x * edge_x,
        shift_y - stretch_y * edge_y,
        shift_x + stretch_x * edge_x,
        shift_y + stretch_y * edge_y,
    )


def crop_and_resize(image: Image.Image, box: Box, size: Size) -> Tensor:
    """Crop a greyscale image to a box (in pixels) and resize it to (h, w) by Pillow's bicubic; (h, w) float32."""
    return to_tensor(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box))


def shift_box(box: Box, shift: EdgeShift, size: Size) -> Box:
    """Move the edges of a box by a shift that is measured in pixels of a resized crop of size (h, w)."""
    x, y = (box[2] - box[0]) / size[1], (box[3] - box[1]) / size[0]
    return box[0] + shift.left * x, box[1] + shift.top * y, box[2] + shift.right * x, box[3] + shift.bottom * y


def transform_box(box: Box, source: Box, target: Box) -> Box:
    """Apply to a box the scaling and translation that maps `source` to `target`.

    >>> transform_box((0, 0, 4, 4), source=(0, 0, 2, 2), target=(10, 10, 11, 11))
    (10.0, 10.0, 12.0, 12.0)
    """
    x, y = (target[2] - target[0]) / (source[2] - source[0]), (target[3] - target[1]) / (source[3] - source[1])
    return (
        target[0] + (box[0] - source[0]) * x,
        target[1] + (box[1] - source[1]) * y,
        target[2] + (box[2] - source[2]) * x,
        target[3] + (box[3] - source[3]) * y,
    )


def shared_region(box: Box, size: Size, target_size: Size) -> tuple[Box, Box] | None:
    """The region that two images share, as a box in the pixels of each; None if they share less than a pixel.

    box:         region of the target that the first image covers; it may extend beyond the target.
    size:        (h, w) of the first image.
    target_size: (H, W) of the target.
    """
    in_target = (
        max(box[0], 0.0),
        max(box[1], 0.0),
        min(box[2], float(target_size[1])),
        min(box[3], float(target_size[0])),
    )
    if in_target[2] - in_target[0] < 1 or in_target[3] - in_target[1] < 1:
        return None
    image = 0.0, 0.0, float(size[1]), float(size[0])
    in_image = transform_box(in_target, source=box, target=image)
    # Pillow rejects boxes that extend beyond the image by a rounding error.
    clamped = max(in_image[0], 0.0), max(in_image[1], 0.0), min(in_image[2], image[2]), min(in_image[3], image[3])
    return clamped, in_target


class Match(NamedTuple):
    """The alignment of a query image with a target image.

    correlation: of the region they share, after contrast normalisation, -1 to 1.
    orientation: of the query, an index of `image_ops.ORIENTATIONS`.
    box:         region of the target that the query covers, as fractions of the target's width and height; values
                 outside 0 to 1 are beyond the target.
    shares:      fraction of the query's area, and of the target's area, that both images show.
    """

    correlation: float
    orientation: int
    box: Box
    shares: tuple[float, float]

    def describe(self) -> str:
        """How the query relates to the target, for a report.

        >>> Match(0.9, 1, (0, 0, 1, 1), (1.0, 1.0)).describe()
        'the full image, mirrored'
        """
        query_is_full, target_is_full = (share > _FULL_AREA for share in self.shares)
        if query_is_full and target_is_full:
            relation = "the full image"
        elif query_is_full:
            relation = f"{self.shares[1]:.0%} of that image"
        elif target_is_full:
            relation = f"that image is {self.shares[0]:.0%} of it"
        else:
            relation = f"{self.shares[0]:.0%} of the first is {self.shares[1]:.0%} of the second"
        return f"{relation}, {ORIENTATIONS[self.orientation]}" if self.orientation else relation


def verify(query: Features, target: Features, candidate: Candidate) -> Match | None:
    """Refine the alignment of a candidate and return its match; None if the images share too little to compare."""
    query_image = reorient_image(Image.fromarray(query.thumbnail), candidate.orientation)
    target_image = Image.fromarray(target.thumbnail)
    query_size, target_size = (query_image.height, query_image.width), target.size
    query_edges = 0.0, 0.0, float(query_size[1]), float(query_size[0])
    target_edges = 0.0, 0.0, float(target_size[1]), float(target_size[0])
    unit = (0.0, 0.0, 1.0, 1.0)
    box = transform_box(candidate.box, source=unit, target=target_edges)
    match: Match | None = None
    for side, blur, min_correlation in _ROUNDS:
        regions = shared_region(box, query_size, target_size)
        grid = None if regions is None else _grid_size(regions, side)
        if regions is None or grid is None:
            break
        fixed, moving = (
            normalise_contrast(crop_and_resize(image, region, grid))
            for image, region in zip((query_image, target_image), regions, strict=True)
        )
        correlation = cosine_similarity(fixed, moving)
        shares = _area(regions[0]) / math.prod(query_size), _area(regions[1]) / math.prod(target_size)
        if max(shares) < _MIN_SHARED_AREA:
            break
        # The last rounds use the finest grid, where unrelated images rarely correlate. A round may overshoot, so the
        # best of them is the result.
        if match is None or side < _ROUNDS[-1].side or correlation > match.correlation:
            unit_box = transform_box(box, source=target_edges, target=unit)
            match = Match(correlation, candidate.orientation, unit_box, shares)
        refined = shift_box(regions[1], estimate_shift(fixed, moving, blur), grid)
        if correlation < min_correlation or min(refined[2] - refined[0], refined[3] - refined[1]) < 2:
            break
        box = transform_box(query_edges, source=regions[0], target=refined)
    return match


def _grid_size(regions: tuple[Box, Box], side: int) -> Size | None:
    """(h, w) with at most side² pixels and no finer than either image; None if the grid is too coarse."""
    height = min(region[3] - region[1] for region in regions)
    width = min(region[2] - region[0] for region in regions)
    factor = min(side / math.sqrt(height * width), 0.8)
    grid = round(height * factor), round(width * factor)
    return grid if min(grid) >= _MIN_GRID_SIDE else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
