"""Whether a candidate is a copy: the two pictures are laid over each other, and what both show has to agree."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from upnet.audit.candidates import Candidate
from upnet.audit.features import Features
from upnet.audit.image_ops import TURNS, as_plane, blurred, correlation, structure, turned

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels from the picture's top left corner."""


class Step(NamedTuple):
    """How far a picture lies beside another, in pixels: along x at its left and right edge, along y at top and bottom.

    A positive shift means that its content has to be fetched from further right or below.
    """

    left: float
    top: float
    right: float
    bottom: float


def misfit(fixed: Tensor, moving: Tensor, blur: float) -> Step:
    """The shift of `moving` against `fixed`, (h, w) both, by one step of least squares.

    blur: sigma in pixels of a blur that both get, which widens the range of shifts that are found.
    """
    fixed, moving = (blurred(plane, blur)[1:-1, 1:-1] if blur else plane[1:-1, 1:-1] for plane in (fixed, moving))
    mean = (fixed + moving) / 2
    gx = (mean[1:-1, 2:] - mean[1:-1, :-2]) / 2
    gy = (mean[2:, 1:-1] - mean[:-2, 1:-1]) / 2
    height, width = gx.shape
    x = (torch.arange(width) + 0.5) / width - 0.5
    y = ((torch.arange(height) + 0.5) / height - 0.5)[:, None]
    columns = torch.stack([part.reshape(-1) for part in (gx, gx * x, gy, gy * y)], dim=1).double()
    target = (fixed - moving)[1:-1, 1:-1].reshape(-1).double()
    normal = columns.T @ columns
    # A ridge: a picture without structure along an axis says nothing about it, and that means no shift.
    normal = normal + torch.eye(4, dtype=torch.float64) * (1e-6 * normal.diagonal().max() + 1e-9)
    a, b, c, d = torch.linalg.solve(normal, columns.T @ target).tolist()
    # The fit ends two pixels inside the edges.
    reach_x, reach_y = (width + 4) / width / 2, (height + 4) / height / 2
    return Step(a - b * reach_x, c - d * reach_y, a + b * reach_x, c + d * reach_y)


def cut(image: Image.Image, box: Box, size: tuple[int, int]) -> Tensor:
    """The box of a picture, reduced or enlarged to size (h, w) by Pillow's antialiased bicubic; (h, w) float32."""
    return as_plane(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box))


def moved(box: Box, step: Step, size: tuple[int, int]) -> Box:
    """The box that fits better, after a misfit seen in size (h, w) pixels of it."""
    x, y = (box[2] - box[0]) / size[1], (box[3] - box[1]) / size[0]
    return box[0] + step.left * x, box[1] + step.top * y, box[2] + step.right * x, box[3] + step.bottom * y


def extended(part: Box, onto: Box, whole: Box) -> Box:
    """Where `whole` comes to lie if its `part` comes to lie on `onto`."""
    x, y = (onto[2] - onto[0]) / (part[2] - part[0]), (onto[3] - onto[1]) / (part[3] - part[1])
    return (
        onto[0] + (whole[0] - part[0]) * x,
        onto[1] + (whole[1] - part[1]) * y,
        onto[2] + (whole[2] - part[2]) * x,
        onto[3] + (whole[3] - part[3]) * y,
    )


def common(box: Box, size: tuple[int, int], bounds: tuple[int, int]) -> tuple[Box, Box] | None:
    """A picture of size (h, w) fills a box of one of bounds (H, W): what both show, in the pixels of each, or None."""
    inside = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(bounds[1])), min(box[3], float(bounds[0]))
    if inside[2] - inside[0] < 1 or inside[3] - inside[1] < 1:
        return None
    whole = 0.0, 0.0, float(size[1]), float(size[0])
    own = extended(box, whole, inside)
    # A rounding error outside would be refused by Pillow.
    return (max(own[0], 0.0), max(own[1], 0.0), min(own[2], whole[2]), min(own[3], whole[3])), inside


ALIKE = 0.65
"""Correlation from which two pictures count as showing the same; benchmarks/audit.py calibrates it."""

_LEAST_SHARE = 0.12
_LEAST_SIDE = 12
_ALL = 0.95
# Side of the square with the pixels of the grid on which the pictures are compared, blur in its pixels, and the
# correlation that they need to go on to the next round.
_ROUNDS = ((36, 2.0, -1.0), (36, 1.5, -1.0), (48, 1.0, 0.25), (64, 0.7, 0.35), (80, 0.7, 0.45), (80, 0.7, 0.5))


class Likeness(NamedTuple):
    """What E and T have in common.

    score:  correlation of what both show, freed of brightness and contrast, -1..1.
    turn:   how E has to be turned, see plane.TURNS.
    box:    what E fills of T, in parts of T's sides; beyond 0..1 it reaches beyond T.
    shares: how much of E, and how much of T, both show.
    """

    score: float
    turn: int
    box: Box
    shares: tuple[float, float]

    def told(self) -> str:
        """The relation in words: "a part of it, mirrored"."""
        ours, theirs = (share > _ALL for share in self.shares)
        if ours and theirs:
            words = "the whole picture"
        elif ours:
            words = f"{self.shares[1]:.0%} of that picture"
        elif theirs:
            words = f"that picture is {self.shares[0]:.0%} of it"
        else:
            words = f"they share {self.shares[0]:.0%} of the one and {self.shares[1]:.0%} of the other"
        return f"{words}, {TURNS[self.turn]}" if self.turn else words


def compare(e: Features, t: Features, candidate: Candidate) -> Likeness | None:
    """Lay E over T where the candidate says, better and better; None where they share too little to tell."""
    ours, theirs = turned(Image.fromarray(e.thumb), candidate.turn), Image.fromarray(t.thumb)
    size, bounds = (ours.height, ours.width), t.size
    unit = (0.0, 0.0, 1.0, 1.0)
    edges = 0.0, 0.0, float(bounds[1]), float(bounds[0])
    box = extended(unit, edges, candidate.box)
    found: Likeness | None = None
    for side, blur, needed in _ROUNDS:
        both = common(box, size, bounds)
        grid = _grid(both, side)
        if both is None or grid is None:
            break
        fixed, moving = (structure(cut(image, part, grid)) for image, part in zip((ours, theirs), both, strict=True))
        score = correlation(fixed, moving)
        shares = _area(both[0]) / (size[0] * size[1]), _area(both[1]) / (bounds[0] * bounds[1])
        if max(shares) < _LEAST_SHARE:
            break
        # The last round has the finest grid, on which chance agreement is rarest; it may be a step too far, though.
        if found is None or side < _ROUNDS[-1][0] or score > found.score:
            found = Likeness(score, candidate.turn, extended(edges, unit, box), shares)
        better = moved(both[1], misfit(fixed, moving, blur), grid)
        if score < needed or min(better[2] - better[0], better[3] - better[1]) < 2:
            break
        box = extended(both[0], better, (0.0, 0.0, float(size[1]), float(size[0])))
    return found


def _grid(both: tuple[Box, Box] | None, side: int) -> tuple[int, int] | None:
    """(h, w) of a grid of side² pixels at most, and no finer than either picture; None where that is too coarse."""
    if both is None:
        return None
    height = min(box[3] - box[1] for box in both)
    width = min(box[2] - box[0] for box in both)
    factor = min(side / np.sqrt(height * width), 0.8)
    grid = round(height * factor), round(width * factor)
    return grid if min(grid) >= _LEAST_SIDE else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
