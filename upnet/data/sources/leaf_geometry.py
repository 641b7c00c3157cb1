"""Dead leaves as geometry: which leaf is in front at every pixel.

Letters: n is the side of the canvas in pixels; leaves are numbered from 0, the frontmost.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

DISC, ELLIPSE, RECTANGLE, POLYGON = range(4)
SHAPES = {"disc": DISC, "ellipse": ELLIPSE, "rectangle": RECTANGLE, "polygon": POLYGON}

_ROUND = 16384  # leaves that are drawn at random at once
_BLOCK = 1 << 18  # pixels that are tested at once: a few MiB, which a core's cache nearly holds
_SIDES = 5  # a polygon is what this many half-planes leave of its disc


@dataclass(frozen=True)
class Leaves:
    """Any number of leaves, one array entry each.

    x, y:   centre, in pixels; pixel (row, column) covers [row, row + 1) × [column, column + 1).
    radius: of the disc that holds the leaf.
    shape:  one of SHAPES.
    angle:  in radians.
    aspect: width / length, in (0, 1].
    seed:   uniform in [0, 1), for whatever else varies from leaf to leaf.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    shape: np.ndarray
    angle: np.ndarray
    aspect: np.ndarray
    seed: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def take(self, chosen: np.ndarray) -> "Leaves":
        """Some of them, by index or mask."""
        return Leaves(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @staticmethod
    def join(parts: Sequence["Leaves"]) -> "Leaves":
        """One after the other."""
        names = [field.name for field in fields(Leaves)]
        return Leaves(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class LeafDistribution:
    """How leaves are drawn at random: radii with density proportional to r^-exponent on [r_min, r_max] pixels.

    shapes:  drawn from with equal chances.
    min_aspect: the least width / length of ellipses and rectangles, in (0, 1]; its logarithm is uniform.
    """

    r_min: float
    r_max: float
    exponent: float
    shapes: Sequence[int]
    min_aspect: float

    def draw(self, rng: np.random.Generator, n: int) -> Leaves:
        """One round of leaves, centred wherever they can reach the canvas, so that its edges are no special place."""
        v = rng.random((_ROUND, 7), np.float32).astype(np.float64)
        if self.exponent == 1:
            radius = self.r_min * (self.r_max / self.r_min) ** v[:, 0]
        else:
            power = 1 - self.exponent
            low, high = self.r_min**power, self.r_max**power
            radius = (low + (high - low) * v[:, 0]) ** (1 / power)
        # A leaf is wanted wherever its disc can touch the canvas: the larger, the more places.
        kept = rng.random(_ROUND) < ((n + 2 * radius) / (n + 2 * self.r_max)) ** 2
        radius, v = radius[kept], v[kept]
        shape = np.array(self.shapes)[(v[:, 3] * len(self.shapes)).astype(np.intp)]
        slender = (shape == ELLIPSE) | (shape == RECTANGLE)
        return Leaves(
            x=v[:, 1] * (n + 2 * radius) - radius,
            y=v[:, 2] * (n + 2 * radius) - radius,
            radius=radius,
            shape=shape,
            angle=v[:, 4] * (2 * math.pi),
            aspect=np.where(slender, self.min_aspect ** v[:, 5], 1.0),
            seed=v[:, 6],
        )


def cover(rng: np.random.Generator, n: int, law: LeafDistribution) -> tuple[np.ndarray, Leaves]:
    """Drop leaves behind each other until no pixel of an n × n canvas is free.

    Gives the number of the frontmost leaf at every pixel, (n, n) int32, and the leaves that were numbered.
    """
    front = np.full((n, n), -1, np.int32)
    parts: list[Leaves] = []
    count = 0
    while (front < 0).any():
        leaves = law.draw(rng, n)
        leaves = leaves.take(_reaches_free(leaves, front < 0))
        _paint(leaves, front, count)
        parts.append(leaves)
        count += len(leaves)
    return front, Leaves.join(parts)


def _reaches_free(leaves: Leaves, free: np.ndarray) -> np.ndarray:
    """Whether there is a free pixel in each leaf's bounding box, by the sums over all rectangles from the corner."""
    n = len(free)
    sums = np.zeros((n + 1, n + 1), np.int32)
    np.cumsum(np.cumsum(free, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    left, right = (_clip(leaves.x + sign * leaves.radius + shift, n) for sign, shift in ((-1, 0), (1, 1)))
    top, bottom = (_clip(leaves.y + sign * leaves.radius + shift, n) for sign, shift in ((-1, 0), (1, 1)))
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0


def _clip(position: np.ndarray, n: int) -> np.ndarray:
    return np.clip(np.floor(position).astype(np.intp), 0, n)


def _paint(leaves: Leaves, front: np.ndarray, offset: int) -> None:
    """Put the leaves, numbered from `offset`, behind those that are in `front` already."""
    behind = np.full(front.size, np.iinfo(np.int32).max, np.int32)
    for chosen, half in _blocks(leaves):
        # Hindmost first: where leaves of one block overlap the frontmost is written last, and the last write stays.
        pixel, leaf = _pixels(leaves, chosen[::-1], half, len(front))
        nearer = leaf < behind[pixel]
        behind[pixel[nearer]] = leaf[nearer]
    plane = behind.reshape(front.shape)
    new = (front < 0) & (plane < len(leaves))
    front[new] = plane[new] + offset


def _blocks(leaves: Leaves) -> Iterator[tuple[np.ndarray, int]]:
    """Ascending numbers of leaves of like size, few enough to test at once, and half the side of their bounding box."""
    halves = np.ceil(leaves.radius).astype(np.intp)
    # Classes a factor of at most 1.25 apart waste little of a class's common box.
    steps = np.unique(np.ceil(1.25 ** np.arange(0, 64)).astype(np.intp))
    halves = steps[np.searchsorted(steps, halves)]
    for half in np.unique(halves).tolist():
        members = np.flatnonzero(halves == half)
        at_once = max(1, _BLOCK // (2 * half + 1) ** 2)
        for start in range(0, len(members), at_once):
            yield members[start : start + at_once], half


def _pixels(leaves: Leaves, chosen: np.ndarray, half: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every (pixel, leaf) where the pixel's centre lies in the leaf, leaf after leaf in the order of `chosen`."""
    some = leaves.take(chosen)
    reach = np.arange(-half, half + 1)
    rows = np.floor(some.y).astype(np.intp)[:, None] + reach  # (k, side)
    columns = np.floor(some.x).astype(np.intp)[:, None] + reach
    dy = (rows + 0.5 - some.y[:, None]).astype(np.float32)[:, :, None]
    dx = (columns + 0.5 - some.x[:, None]).astype(np.float32)[:, None, :]
    inside = _inside(some, dx, dy)
    inside &= ((rows >= 0) & (rows < n))[:, :, None] & ((columns >= 0) & (columns < n))[:, None, :]
    which, row, column = np.nonzero(inside)
    return rows[which, row] * n + columns[which, column], chosen[which].astype(np.int32)


def _inside(leaves: Leaves, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Whether an offset from the centre lies in the leaf: (k, 1, side) and (k, side, 1) -> (k, side, side)."""
    column = (slice(None), None, None)
    radius = leaves.radius.astype(np.float32)[column]
    cos, sin = (f(leaves.angle).astype(np.float32)[column] for f in (np.cos, np.sin))
    aspect = leaves.aspect.astype(np.float32)[column]
    inside = dx * dx + dy * dy <= radius * radius
    for shape in np.unique(leaves.shape).tolist():
        if shape == DISC:
            continue
        at = np.flatnonzero(leaves.shape == shape)
        along = cos[at] * dx[at] + sin[at] * dy[at]
        across = (cos[at] * dy[at] - sin[at] * dx[at]) / aspect[at]
        if shape == ELLIPSE:
            inside[at] = along * along + across * across <= radius[at] * radius[at]
        elif shape == RECTANGLE:
            # The corners lie on the disc.
            length = radius[at] / np.sqrt(1 + aspect[at] ** 2)
            inside[at] = np.maximum(np.abs(along), np.abs(across)) <= length
        else:
            inside[at] &= _in_polygon(leaves.seed[at].astype(np.float32)[column], radius[at], along, across)
    return inside


def _in_polygon(seed: np.ndarray, radius: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Whether a point lies in all of a few half-planes whose borders are at 0.35 to 0.95 of the radius.

    Multiples of the one seed, modulo 1, stand in for as many random numbers as there are sides and distances.
    """
    inside = np.ones(np.broadcast_shapes(along.shape, across.shape), bool)
    for side in range(_SIDES):
        spread = np.float32(2 * math.pi / _SIDES) * (side + np.modf(seed * (7 + 13 * side))[0])
        distance = radius * (np.float32(0.35) + np.float32(0.6) * np.modf(seed * (11 + 17 * side))[0])
        inside &= np.cos(spread) * along + np.sin(spread) * across <= distance
    return inside
