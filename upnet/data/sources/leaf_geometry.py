"""Geometry of the dead leaves model: which leaf is in front at every pixel.

n: side of the square canvas in pixels. k: number of leaves. Leaf 0 is the frontmost.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

DISC, ELLIPSE, RECTANGLE, POLYGON = range(4)
SHAPES = {"disc": DISC, "ellipse": ELLIPSE, "rectangle": RECTANGLE, "polygon": POLYGON}

_BATCH = 16384  # leaves per call of LeafDistribution.draw
_MAX_TESTED = 1 << 18  # pixels tested at a time; their arrays, a few MiB, fit into the cache of one core
_SIDES = 5  # a polygon is the intersection of its disc with this many half-planes


@dataclass(frozen=True)
class Leaves:
    """k leaves: each field is an array (k,).

    x, y:   centre in pixels; pixel (row, column) covers [row, row + 1) × [column, column + 1).
    radius: radius in pixels of the disc that contains the leaf.
    shape:  a value of SHAPES.
    angle:  rotation in radians.
    aspect: width / length, in (0, 1].
    seed:   uniform in [0, 1); the sides of a polygon are derived from it.
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

    def take(self, selection: np.ndarray) -> "Leaves":
        """The selected leaves. selection: indices or a mask."""
        return Leaves(**{field.name: getattr(self, field.name)[selection] for field in fields(self)})

    @staticmethod
    def join(parts: Sequence["Leaves"]) -> "Leaves":
        """Concatenate leaves."""
        names = [field.name for field in fields(Leaves)]
        return Leaves(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class LeafDistribution:
    """The random distribution of leaves: radii have density proportional to r^-exponent on [r_min, r_max] pixels.

    shapes:     values of SHAPES, drawn with equal probability.
    min_aspect: the smallest width / length of ellipses and rectangles, in (0, 1]; its logarithm is uniform.
    """

    r_min: float
    r_max: float
    exponent: float
    shapes: Sequence[int]
    min_aspect: float

    def draw(self, rng: np.random.Generator, n: int) -> Leaves:
        """Draw a batch of leaves. Centres may be outside the canvas, which gives its edges the same statistics."""
        v = rng.random((_BATCH, 7), np.float32).astype(np.float64)
        if self.exponent == 1:
            radius = self.r_min * (self.r_max / self.r_min) ** v[:, 0]
        else:
            power = 1 - self.exponent
            low, high = self.r_min**power, self.r_max**power
            radius = (low + (high - low) * v[:, 0]) ** (1 / power)
        # Centres are uniform where the disc can touch the canvas: that area, and so the probability, grows with r.
        kept = rng.random(_BATCH) < ((n + 2 * radius) / (n + 2 * self.r_max)) ** 2
        radius, v = radius[kept], v[kept]
        shape = np.array(self.shapes)[(v[:, 3] * len(self.shapes)).astype(np.intp)]
        elongated = (shape == ELLIPSE) | (shape == RECTANGLE)
        return Leaves(
            x=v[:, 1] * (n + 2 * radius) - radius,
            y=v[:, 2] * (n + 2 * radius) - radius,
            radius=radius,
            shape=shape,
            angle=v[:, 4] * (2 * math.pi),
            aspect=np.where(elongated, self.min_aspect ** v[:, 5], 1.0),
            seed=v[:, 6],
        )


def cover_canvas(rng: np.random.Generator, n: int, distribution: LeafDistribution) -> tuple[np.ndarray, Leaves]:
    """Add leaves behind the existing ones until every pixel of an n × n canvas is covered.

    Returns the index of the frontmost leaf at every pixel, (n, n) int32, and all leaves.

    >>> discs = LeafDistribution(r_min=2.0, r_max=8.0, exponent=3.0, shapes=[DISC], min_aspect=1.0)
    >>> front, leaves = cover_canvas(np.random.default_rng(0), 16, discs)
    >>> front.shape, bool((front >= 0).all())
    ((16, 16), True)
    """
    front = np.full((n, n), -1, np.int32)
    parts: list[Leaves] = []
    count = 0
    while (front < 0).any():
        leaves = distribution.draw(rng, n)
        leaves = leaves.take(_touches_free(leaves, front < 0))
        _paint(leaves, front, count)
        parts.append(leaves)
        count += len(leaves)
    return front, Leaves.join(parts)


def _touches_free(leaves: Leaves, free: np.ndarray) -> np.ndarray:
    """Whether each leaf's bounding box contains a free pixel, (k,) bool, by a summed-area table of `free` (n, n)."""
    n = len(free)
    sums = np.zeros((n + 1, n + 1), np.int32)
    np.cumsum(np.cumsum(free, axis=0, dtype=np.int32), axis=1, out=sums[1:, 1:])
    left, right = (_clip(leaves.x + sign * leaves.radius + shift, n) for sign, shift in ((-1, 0), (1, 1)))
    top, bottom = (_clip(leaves.y + sign * leaves.radius + shift, n) for sign, shift in ((-1, 0), (1, 1)))
    return sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left] > 0


def _clip(position: np.ndarray, n: int) -> np.ndarray:
    return np.clip(np.floor(position).astype(np.intp), 0, n)


def _paint(leaves: Leaves, front: np.ndarray, offset: int) -> None:
    """Write the indices of the leaves, plus `offset`, to the free pixels of `front` (n, n)."""
    frontmost = np.full(front.size, np.iinfo(np.int32).max, np.int32)
    for selection, half in _blocks(leaves):
        # From back to front: where leaves of one block overlap, the frontmost is written last and remains.
        pixel, leaf = _pixels(leaves, selection[::-1], half, len(front))
        nearer = leaf < frontmost[pixel]
        frontmost[pixel[nearer]] = leaf[nearer]
    plane = frontmost.reshape(front.shape)
    new = (front < 0) & (plane < len(leaves))
    front[new] = plane[new] + offset


def _blocks(leaves: Leaves) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of leaves of similar size: (ascending indices of the leaves, half the side of a common bounding box)."""
    halves = np.ceil(leaves.radius).astype(np.intp)
    # Sizes are rounded up by a factor of at most 1.25, so that the common box is little larger than each leaf.
    steps = np.unique(np.ceil(1.25 ** np.arange(0, 64)).astype(np.intp))
    halves = steps[np.searchsorted(steps, halves)]
    for half in np.unique(halves).tolist():
        members = np.flatnonzero(halves == half)
        per_block = max(1, _MAX_TESTED // (2 * half + 1) ** 2)
        for start in range(0, len(members), per_block):
            yield members[start : start + per_block], half


def _pixels(leaves: Leaves, selection: np.ndarray, half: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(pixel index, leaf index) of all pixel centres that are inside a leaf, in the order of `selection`."""
    subset = leaves.take(selection)
    offsets = np.arange(-half, half + 1)
    rows = np.floor(subset.y).astype(np.intp)[:, None] + offsets  # (k, side)
    columns = np.floor(subset.x).astype(np.intp)[:, None] + offsets
    dy = (rows + 0.5 - subset.y[:, None]).astype(np.float32)[:, :, None]
    dx = (columns + 0.5 - subset.x[:, None]).astype(np.float32)[:, None, :]
    inside = _inside(subset, dx, dy)
    inside &= ((rows >= 0) & (rows < n))[:, :, None] & ((columns >= 0) & (columns < n))[:, None, :]
    leaf, row, column = np.nonzero(inside)
    return rows[leaf, row] * n + columns[leaf, column], selection[leaf].astype(np.int32)


def _inside(leaves: Leaves, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Whether an offset from the centre is inside the leaf: (k, 1, side), (k, side, 1) -> (k, side, side) bool."""
    expand = (slice(None), None, None)  # (k,) -> (k, 1, 1)
    radius = leaves.radius.astype(np.float32)[expand]
    cos, sin = (f(leaves.angle).astype(np.float32)[expand] for f in (np.cos, np.sin))
    aspect = leaves.aspect.astype(np.float32)[expand]
    inside = dx * dx + dy * dy <= radius * radius
    for shape in np.unique(leaves.shape).tolist():
        if shape == DISC:
            continue
        members = np.flatnonzero(leaves.shape == shape)
        along = cos[members] * dx[members] + sin[members] * dy[members]
        across = (cos[members] * dy[members] - sin[members] * dx[members]) / aspect[members]
        if shape == ELLIPSE:
            inside[members] = along * along + across * across <= radius[members] * radius[members]
        elif shape == RECTANGLE:
            # The corners are on the circle.
            length = radius[members] / np.sqrt(1 + aspect[members] ** 2)
            inside[members] = np.maximum(np.abs(along), np.abs(across)) <= length
        else:
            seed = leaves.seed[members].astype(np.float32)[expand]
            inside[members] &= _in_polygon(seed, radius[members], along, across)
    return inside


def _in_polygon(seed: np.ndarray, radius: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Whether points are inside _SIDES half-planes, whose distances from the centre are 0.35 to 0.95 radii.

    The random directions and distances are multiples of the seed, modulo 1.
    """
    inside = np.ones(np.broadcast_shapes(along.shape, across.shape), bool)
    for side in range(_SIDES):
        angle = np.float32(2 * math.pi / _SIDES) * (side + np.modf(seed * (7 + 13 * side))[0])
        distance = radius * (np.float32(0.35) + np.float32(0.6) * np.modf(seed * (11 + 17 * side))[0])
        inside &= np.cos(angle) * along + np.sin(angle) * across <= distance
    return inside
