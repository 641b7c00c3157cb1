"""Which pictures may be copies of which, and where one lies in the other: quick, and with more hits than there are.

Patches that look alike vote for the place of E in T; what many agree on is a candidate. Whole pictures that look alike
are candidates as well, for those with too little structure for points, and for those squeezed along one axis.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from upnet.audit.features import SIDE, WHOLE, Features
from upnet.audit.image_ops import turned_points, turned_square

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_ALIKE = 0.88
_LEAST_VOTES = 3
_MOST = 8
_WHOLES = 3
_WHOLES_ALIKE = 0.5
_CHUNK = 2048
_OCTAVES, _PART, _HALF = 0.5, 0.3, 128


class Candidate(NamedTuple):
    """E, turned, may fill this box of T; the box is in parts of T's sides and may reach beyond T.

    number: of T in its album; turn: see plane.TURNS; votes: how many patches agree, 0 for a whole picture.
    """

    number: int
    turn: int
    box: Box
    votes: int


Parts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Patches by their even and odd frequencies along y and x: even even, even odd, odd even, odd odd; (K, 16) each."""


def _parts(patches: Tensor) -> Parts:
    squares = patches.reshape(-1, SIDE, SIDE)
    ee, eo, oe, oo = (squares[:, y::2, x::2].flatten(1).contiguous() for y in (0, 1) for x in (0, 1))
    return ee, eo, oe, oo


def _turned_products(patches: Tensor, theirs: Parts) -> Iterator[tuple[int, Tensor]]:
    """Each turn, and the products of all patches, so turned, with all of theirs: (K, M).

    A flip changes the signs of the odd frequencies along its axis, so the products of even and odd parts serve all.
    """
    swapped = patches.reshape(-1, SIDE, SIDE).transpose(1, 2).flatten(1)
    for swap, ours in ((0, patches), (4, swapped)):
        even, across, along, neither = (a @ b.T for a, b in zip(_parts(ours), theirs, strict=True))
        same, other = even + neither, even.sub_(neither)
        odd, odder = across + along, across.sub_(along)
        yield swap, same + odd
        yield swap + 3, same.sub_(odd)
        yield swap + 1, other - odder
        yield swap + 2, other.add_(odder)


class Album:
    """The features of many pictures, side by side."""

    def __init__(self, pictures: Sequence[Features]) -> None:
        self.pictures = list(pictures)
        counts = [len(picture.points) for picture in self.pictures]
        self.owner = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))
        self.points = torch.cat([torch.zeros(0, 3), *[picture.points for picture in self.pictures]])
        patches = torch.cat([torch.zeros(0, SIDE * SIDE), *[picture.patches for picture in self.pictures]])
        self.parts = _parts(patches)
        self.wholes = torch.stack([picture.whole for picture in self.pictures]) if counts else torch.zeros(0, WHOLE**2)
        self.sizes = torch.tensor([picture.size for picture in self.pictures], dtype=torch.float32).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.pictures)

    def candidates(self, picture: Features, start: int = 0) -> list[Candidate]:
        """The likeliest places of a picture among those from number `start` on, the likeliest first."""
        return [*self._by_patches(picture, start), *self._by_wholes(picture, start)]

    def _by_wholes(self, picture: Features, start: int) -> list[Candidate]:
        square = picture.whole.reshape(WHOLE, WHOLE)
        turns = torch.stack([turned_square(square, turn).reshape(-1) for turn in range(8)])
        alike = (turns @ self.wholes[start:].T).reshape(-1)
        likeness, order = alike.topk(min(_WHOLES, len(alike)))
        count = len(self) - start
        return [
            Candidate(start + place % count, place // count, (0.0, 0.0, 1.0, 1.0), 0)
            for value, place in zip(likeness.tolist(), order.tolist(), strict=True)
            if value > _WHOLES_ALIKE
        ]

    def _by_patches(self, picture: Features, start: int) -> list[Candidate]:
        first = int(torch.searchsorted(self.owner, start))
        points, turns, columns = [], [], []
        for begin in range(first, len(self.points), _CHUNK):
            ee, eo, oe, oo = (part[begin : begin + _CHUNK] for part in self.parts)
            for turn, alike in _turned_products(picture.patches, (ee, eo, oe, oo)):
                point, column = (alike > _ALIKE).nonzero(as_tuple=True)
                points.append(point)
                turns.append(torch.full_like(point, turn))
                columns.append(column + begin)
        if not any(len(point) for point in points):
            return []
        return self._vote(picture, torch.cat(points), torch.cat(turns), torch.cat(columns))

    def _vote(self, picture: Features, point: Tensor, turn: Tensor, columns: Tensor) -> list[Candidate]:
        """Matches between the picture's points, turned, and the album's (columns) -> what they agree on."""
        # A patch that is everywhere tells little.
        rarity = torch.bincount(point, minlength=len(picture.points)).clamp_min(1).rsqrt()
        group = self.owner[columns] * 8 + turn
        often = torch.bincount(group)[group] >= _LEAST_VOTES
        point, turn, columns, group = point[often], turn[often], columns[often], group[often]
        centre, ratio = self._places(picture, turn, point, columns)
        # A cell is half an octave of size and a part of E's side wide, and a match votes for the two nearest along each
        # axis, so that no border between cells can part those that agree.
        octave, side = torch.log2(ratio), _PART * ratio * min(picture.size)
        exact = torch.stack((octave / _OCTAVES, centre[:, 0] / side, centre[:, 1] / side), dim=1)
        low = torch.floor(exact - 0.5).to(torch.int64).clamp(-_HALF, _HALF - 2) + _HALF
        keys = []
        for corner in range(8):
            cell = low + torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
            keys.append(((group * 2 * _HALF + cell[:, 0]) * 2 * _HALF + cell[:, 1]) * 2 * _HALF + cell[:, 2])
        return self._agreed(picture, torch.cat(keys), point.repeat(8), rarity, centre.repeat(8, 1), ratio.repeat(8))

    def _places(self, picture: Features, turn: Tensor, point: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Per match: where the picture's centre would lie in T, (M, 2), and T's pixels per pixel of it, (M,)."""
        x, y = picture.points[:, 0], picture.points[:, 1]
        offsets = []
        for way in range(8):
            px, py, (height, width) = turned_points(x, y, picture.size, way)
            offsets.append(torch.stack((width / 2 - px, height / 2 - py), dim=1))
        ratio = self.points[columns, 2] / picture.points[point, 2]
        return self.points[columns, :2] + ratio[:, None] * torch.stack(offsets)[turn, point], ratio

    def _agreed(
        self, picture: Features, keys: Tensor, point: Tensor, rarity: Tensor, centre: Tensor, ratio: Tensor
    ) -> list[Candidate]:
        """The cells with the most, and the rarest, different points of the picture, one for each T and turn."""
        cells, inverse = torch.unique(keys, return_inverse=True)
        pairs = torch.unique(inverse * len(picture.points) + point)
        cell_of, point_of = pairs // len(picture.points), pairs % len(picture.points)
        votes = torch.bincount(cell_of, minlength=len(cells))
        weight = torch.bincount(cell_of, rarity[point_of], minlength=len(cells))
        weight[votes < _LEAST_VOTES] = 0
        found: list[Candidate] = []
        seen: set[int] = set()
        for cell in weight.argsort(descending=True, stable=True).tolist():
            group = int(cells[cell]) // (2 * _HALF) ** 3
            if votes[cell] < _LEAST_VOTES or len(found) == _MOST:
                break
            if group in seen:
                continue
            seen.add(group)
            members = inverse == cell
            box = self._box(picture, group // 8, group % 8, centre[members], ratio[members])
            found.append(Candidate(group // 8, group % 8, box, int(votes[cell])))
        return found

    def _box(self, picture: Features, owner: int, turn: int, centre: Tensor, ratio: Tensor) -> Box:
        """Where the picture lies in T by the median of the matches, in parts of T's sides."""
        height, width = picture.size[::-1] if turn & 4 else picture.size
        scale = float(torch.exp(torch.log(ratio).median()))
        x, y = (float(value) for value in centre.median(dim=0).values)
        rows, columns = self.pictures[owner].size
        half_width, half_height = scale * width / 2, scale * height / 2
        return (
            (x - half_width) / columns,
            (y - half_height) / rows,
            (x + half_width) / columns,
            (y + half_height) / rows,
        )
