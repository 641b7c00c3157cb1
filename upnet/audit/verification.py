"""Verification of candidate matches: align two images and compute the correlation of their shared region."""

import math
from typing import NamedTuple

from PIL import Image

from upnet.audit.alignment import crop_and_resize, estimate_shift, shared_region, shift_box, transform_box
from upnet.audit.candidates import Box, Candidate
from upnet.audit.features import Features
from upnet.audit.image_ops import (
    ORIENTATIONS,
    Size,
    cosine_similarity,
    normalise_contrast,
    reorient_image,
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
