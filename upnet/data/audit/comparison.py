"""Whether a candidate is a copy: the two pictures are laid over each other, and what both show has to agree."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from upnet.data.audit.candidates import Candidate
from upnet.data.audit.features import Features
from upnet.data.audit.plane import TURNS, correlation, structure, turned
from upnet.data.audit.registration import Box, common, cut, extended, misfit, moved

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
