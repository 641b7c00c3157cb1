"""Fast search for candidate matches between images. `upnet.audit.verification` rejects the false positives.

Similar patches vote for the position of the query image inside a target image (a Hough transform over position and
scale); a position with enough votes is a candidate. Images whose global descriptors are similar are candidates as well:
this finds images with few keypoints, and images that are scaled along one axis only.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from upnet.audit.features import GLOBAL_SIDE, PATCH_SIDE, Features
from upnet.audit.image_ops import reorient_points, reorient_tensor

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_MIN_PATCH_SIMILARITY = 0.88
_MIN_VOTES = 3
_MAX_CANDIDATES = 8
_MAX_GLOBAL_CANDIDATES = 3
_MIN_GLOBAL_SIMILARITY = 0.5
_KEYPOINTS_PER_CHUNK = 2048
# Size of a cell of the accumulator: scale in octaves, position as a fraction of the query's shorter side. Cell indices
# are clamped to -_HALF_CELLS … _HALF_CELLS - 1.
_CELL_OCTAVES, _CELL_POSITION, _HALF_CELLS = 0.5, 0.3, 128


class Candidate(NamedTuple):
    """A hypothesis: the query image, reoriented, covers a box of a target image.

    target:      index of the target image in its FeatureIndex.
    orientation: of the query image, an index of `image_ops.ORIENTATIONS`.
    box:         as fractions of the target's width and height; it may extend beyond the target.
    votes:       number of keypoints that agree; 0 for a match of global descriptors.
    """

    target: int
    orientation: int
    box: Box
    votes: int


FrequencyParts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Descriptors split by even and odd frequencies along y and x: even-even, even-odd, odd-even, odd-odd; (K, 16) each."""


def split_frequencies(descriptors: Tensor) -> FrequencyParts:
    """Split (K, PATCH_SIDE²) descriptors into their even and odd frequencies."""
    patches = descriptors.reshape(-1, PATCH_SIDE, PATCH_SIDE)
    ee, eo, oe, oo = (patches[:, y::2, x::2].flatten(1).contiguous() for y in (0, 1) for x in (0, 1))
    return ee, eo, oe, oo


def oriented_products(descriptors: Tensor, targets: FrequencyParts) -> Iterator[tuple[int, Tensor]]:
    """For each of the eight orientations of K descriptors: the orientation and the (K, M) products with M targets.

    A flip changes the sign of the odd frequencies along its axis. Four products of even and odd parts therefore give
    the products of all four flips.
    """
    transposed = descriptors.reshape(-1, PATCH_SIDE, PATCH_SIDE).transpose(1, 2).flatten(1)
    for transpose, oriented in ((0, descriptors), (4, transposed)):
        even_even, even_odd, odd_even, odd_odd = (
            a @ b.T for a, b in zip(split_frequencies(oriented), targets, strict=True)
        )
        same_sign, opposite_sign = even_even + odd_odd, even_even.sub_(odd_odd)
        mixed_sum, mixed_difference = even_odd + odd_even, even_odd.sub_(odd_even)
        yield transpose, same_sign + mixed_sum
        yield transpose + 3, same_sign.sub_(mixed_sum)
        yield transpose + 1, opposite_sign - mixed_difference
        yield transpose + 2, opposite_sign.add_(mixed_difference)


class FeatureIndex:
    """The features of many images, concatenated for fast search.

    features: the features of each image.

    >>> from upnet.audit.features import extract_features
    >>> from upnet.data import Photographs
    >>> images = [entry.read() for entry in Photographs(["chelsea", "coffee"]).images()]
    >>> index = FeatureIndex([extract_features(image) for image in images])
    >>> index.candidates(extract_features(images[1][:200, :300].copy()))[0].target
    1
    """

    def __init__(self, features: Sequence[Features]) -> None:
        self.features = list(features)
        counts = [len(image.keypoints) for image in self.features]
        self.owner = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))
        self.keypoints = torch.cat([torch.zeros(0, 3), *[image.keypoints for image in self.features]])
        descriptors = torch.cat([torch.zeros(0, PATCH_SIDE**2), *[image.descriptors for image in self.features]])
        self.parts = split_frequencies(descriptors)
        self.global_descriptors = torch.cat(
            [torch.zeros(0, GLOBAL_SIDE**2), *[image.global_descriptor[None] for image in self.features]]
        )

    def __len__(self) -> int:
        return len(self.features)

    def candidates(self, query: Features, start: int = 0) -> list[Candidate]:
        """Candidate matches of a query image with the images from index `start` on, most likely first."""
        return [*self._match_patches(query, start), *self._match_globally(query, start)]

    def _match_globally(self, query: Features, start: int) -> list[Candidate]:
        square = query.global_descriptor.reshape(GLOBAL_SIDE, GLOBAL_SIDE)
        oriented = torch.stack([reorient_tensor(square, orientation).reshape(-1) for orientation in range(8)])
        similarity = (oriented @ self.global_descriptors[start:].T).reshape(-1)
        highest, position = similarity.topk(min(_MAX_GLOBAL_CANDIDATES, len(similarity)))
        count = len(self) - start
        return [
            Candidate(start + index % count, index // count, (0.0, 0.0, 1.0, 1.0), 0)
            for value, index in zip(highest.tolist(), position.tolist(), strict=True)
            if value > _MIN_GLOBAL_SIMILARITY
        ]

    def _match_patches(self, query: Features, start: int) -> list[Candidate]:
        first = int(torch.searchsorted(self.owner, start))
        points, orientations, targets = [], [], []
        for begin in range(first, len(self.keypoints), _KEYPOINTS_PER_CHUNK):
            ee, eo, oe, oo = (part[begin : begin + _KEYPOINTS_PER_CHUNK] for part in self.parts)
            for orientation, similarity in oriented_products(query.descriptors, (ee, eo, oe, oo)):
                point, target = (similarity > _MIN_PATCH_SIMILARITY).nonzero(as_tuple=True)
                points.append(point)
                orientations.append(torch.full_like(point, orientation))
                targets.append(target + begin)
        if not any(len(point) for point in points):
            return []
        return self._vote(query, torch.cat(points), torch.cat(orientations), torch.cat(targets))

    def _vote(self, query: Features, point: Tensor, orientation: Tensor, target: Tensor) -> list[Candidate]:
        """Accumulate the matches of keypoints in cells and return the candidates with the most votes.

        point, orientation, target: (M,) int64: query keypoint, its orientation, and keypoint of this index.
        """
        # A keypoint that matches many targets carries little information.
        weight = torch.bincount(point, minlength=len(query.keypoints)).clamp_min(1).rsqrt()
        group = self.owner[target] * 8 + orientation
        frequent = torch.bincount(group)[group] >= _MIN_VOTES
        point, orientation, target, group = point[frequent], orientation[frequent], target[frequent], group[frequent]
        centre, scale = self._positions(query, orientation, point, target)
        # A match votes for the two nearest cells along each axis: a cell's edge must not separate matches that agree.
        octave, side = torch.log2(scale), _CELL_POSITION * scale * min(query.size)
        exact = torch.stack((octave / _CELL_OCTAVES, centre[:, 0] / side, centre[:, 1] / side), dim=1)
        lower = torch.floor(exact - 0.5).to(torch.int64).clamp(-_HALF_CELLS, _HALF_CELLS - 2) + _HALF_CELLS
        keys = []
        for corner in range(8):
            cell = lower + torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
            keys.append(
                ((group * 2 * _HALF_CELLS + cell[:, 0]) * 2 * _HALF_CELLS + cell[:, 1]) * 2 * _HALF_CELLS + cell[:, 2]
            )
        return self._best_cells(query, torch.cat(keys), point.repeat(8), weight, centre.repeat(8, 1), scale.repeat(8))

    def _positions(self, query: Features, orientation: Tensor, point: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Per match: position of the query's centre in the target, (M, 2), and target pixels per query pixel, (M,)."""
        x, y = query.keypoints[:, 0], query.keypoints[:, 1]
        offsets = []
        for index in range(8):
            oriented_x, oriented_y, (height, width) = reorient_points(x, y, query.size, index)
            offsets.append(torch.stack((width / 2 - oriented_x, height / 2 - oriented_y), dim=1))
        scale = self.keypoints[target, 2] / query.keypoints[point, 2]
        return self.keypoints[target, :2] + scale[:, None] * torch.stack(offsets)[orientation, point], scale

    def _best_cells(
        self, query: Features, keys: Tensor, point: Tensor, weight: Tensor, centre: Tensor, scale: Tensor
    ) -> list[Candidate]:
        """The candidates with the highest weighted number of distinct keypoints, one per target and orientation."""
        cells, inverse = torch.unique(keys, return_inverse=True)
        cell_and_point = torch.unique(inverse * len(query.keypoints) + point)
        cell_of, point_of = cell_and_point // len(query.keypoints), cell_and_point % len(query.keypoints)
        votes = torch.bincount(cell_of, minlength=len(cells))
        total = torch.bincount(cell_of, weight[point_of], minlength=len(cells))
        total[votes < _MIN_VOTES] = 0
        candidates: list[Candidate] = []
        seen: set[int] = set()
        for cell in total.argsort(descending=True, stable=True).tolist():
            group = int(cells[cell]) // (2 * _HALF_CELLS) ** 3
            if votes[cell] < _MIN_VOTES or len(candidates) == _MAX_CANDIDATES:
                break
            if group in seen:
                continue
            seen.add(group)
            members = inverse == cell
            box = self._median_box(query, group // 8, group % 8, centre[members], scale[members])
            candidates.append(Candidate(group // 8, group % 8, box, int(votes[cell])))
        return candidates

    def _median_box(self, query: Features, target: int, orientation: int, centre: Tensor, scale: Tensor) -> Box:
        """The box of the query in the target by the median of the matches, as fractions of the target's sides."""
        height, width = query.size[::-1] if orientation & 4 else query.size
        factor = float(torch.exp(torch.log(scale).median()))
        x, y = (float(value) for value in centre.median(dim=0).values)
        rows, columns = self.features[target].size
        half_width, half_height = factor * width / 2, factor * height / 2
        return (
            (x - half_width) / columns,
            (y - half_height) / rows,
            (x + half_width) / columns,
            (y + half_height) / rows,
        )
