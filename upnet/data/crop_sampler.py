"""The training stream: a batch is a pure function of (seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from upnet.data.store import Store

BLOCK = 64
"""Steps that are drawn at a time. Each by itself would pay for code that the network has driven out of the cache."""


@dataclass(frozen=True)
class CropSampler:
    """Aligned random crops of LR and HR, turned and mirrored.

    Every LR crop position of the whole store is equally likely. So an image is drawn in proportion to the number of
    its crop positions: drawn in equal shares instead, the pixels of a small image would come up far more often than
    those of a large one.

    store:      the images.
    patch:      side of the LR crops in pixels; HR crops are scale × patch.
    batch_size: crops per step, over all processes.
    seed:       of the stream, 0 or larger.
    scale:      the store's.
    augment:    whether a crop is also put into one of its 8 orientations (4 orientations, each mirrored or not).

    Raises ValueError for numbers out of range and for images smaller than the patch, which it names.
    """

    store: Store
    patch: int
    batch_size: int
    seed: int
    scale: int
    augment: bool = True

    def __post_init__(self) -> None:
        for name, value, least in (
            ("patch", self.patch, 1),
            ("batch_size", self.batch_size, 1),
            ("seed", self.seed, 0),
        ):
            if value < least:
                raise ValueError(f"Data: {name} must be {least} or larger; got {value}")
        if self.scale != self.store.scale:
            raise ValueError(f"Data: the store of {self.store.name} is of scale {self.store.scale}; got {self.scale}")
        side = self.patch * self.scale
        small = [
            f"{name} ({height}×{width})"
            for name, (height, width) in zip(self.store.names, self.store.sizes, strict=True)
            if min(height, width) < side
        ]
        if small:
            raise ValueError(
                f"Data: patch={self.patch} takes HR images of at least {side}×{side} pixels, and {self.store.name} "
                f"has {len(small)} smaller: {', '.join(small[:5])}{', …' if len(small) > 5 else ''}; "
                "choose a smaller patch or remove them"
            )

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Tensor]:
        """The step's batch, or the rows of it that belong to process `rank` of `world_size`.

        Returns {"lr": (B / world_size, 3, patch, patch), "hr": (B / world_size, 3, scale·patch, scale·patch)}, uint8,
        channels_last. Raises ValueError where the batch cannot be shared out evenly.
        """
        rows = self.rank_rows(rank, world_size)
        images, tops, lefts, orientations = (column[rows] for column in self._draw(step))
        count, large = len(images), self.patch * self.scale
        lr = np.empty((count, self.patch, self.patch, 3), np.uint8)
        hr = np.empty((count, large, large, 3), np.uint8)
        for row in range(count):
            image, top, left, orientation = int(images[row]), int(tops[row]), int(lefts[row]), int(orientations[row])
            _cut(self.store.lr(image), top, left, orientation, lr[row])
            _cut(self.store.hr(image), top * self.scale, left * self.scale, orientation, hr[row])
        # As the images lie in the store, and as networks want them: turned into floats without being rearranged.
        return {"lr": torch.from_numpy(lr).permute(0, 3, 1, 2), "hr": torch.from_numpy(hr).permute(0, 3, 1, 2)}

    def plan(self, step: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """The same rows as numbers, for crops that are cut elsewhere: (B / world_size, 2, 3) int64.

        Of a crop's LR and HR: where its first pixel lies in the store's bytes, and how many bytes further the pixels
        below and to the right of it do. Raises ValueError as `batch` does.
        """
        rows = self.rank_rows(rank, world_size)
        block, within = self.block(step)
        return self.block_plans(block)[within, rows]

    def block_plans(self, block: int) -> Tensor:
        """What `plan` gives for the steps of a block and one process: (BLOCK, B, 2, 3) int64.

        block: number of the block; block b holds the steps BLOCK·b to BLOCK·b + BLOCK − 1.
        """
        if block not in self._plans:
            self._plans.clear()
            self._plans[block] = self._plan(block)
        return self._plans[block]

    def _plan(self, block: int) -> Tensor:
        image, top, left, orientation = (column.astype(np.int64) for column in self._drawn(block))
        found = []
        for starts, widths, times in self._planes:
            width = widths[image]
            corner = starts[image] + 3 * times * (top * width + left)
            found.append(_strides(corner, width, orientation, times * self.patch))
        return torch.from_numpy(np.stack(found, axis=-2))

    def rank_rows(self, rank: int, world_size: int) -> slice:
        """A process's rows of a batch. Raises ValueError where the batch cannot be shared out evenly."""
        if self.batch_size % world_size:
            raise ValueError(f"Data: batch_size={self.batch_size} must be a multiple of the {world_size} processes")
        rows = self.batch_size // world_size
        return slice(rank * rows, (rank + 1) * rows)

    def crop_positions(self, step: int) -> Sequence[tuple[str, int, int]]:
        """Where the step's crops come from: (image, row, column) of each crop's upper left corner, in LR pixels."""
        images, tops, lefts, _ = self._draw(step)
        return [
            (self.store.names[image], int(top), int(left)) for image, top, left in zip(images, tops, lefts, strict=True)
        ]

    @cached_property
    def _columns(self) -> np.ndarray:
        """Crop positions along each image's width."""
        return np.array([width // self.scale - self.patch + 1 for _, width in self.store.sizes], np.uint64)

    @cached_property
    def _ends(self) -> np.ndarray:
        """The running total of the images' crop positions."""
        rows = np.array([height // self.scale - self.patch + 1 for height, _ in self.store.sizes], np.uint64)
        return np.cumsum(rows * self._columns)

    @cached_property
    def _planes(self) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """LR and HR: where each image begins in the store's bytes, its width, and how many times LR's that is."""
        starts, (heights, widths) = np.array(self.store.hr_offsets, np.int64), np.array(self.store.sizes, np.int64).T
        return [(starts + 3 * heights * widths, widths // self.scale, 1), (starts, widths, self.scale)]

    def _draw(self, step: int) -> list[np.ndarray]:
        """Image, row, column and orientation (0..7) of each crop of a step."""
        block, within = self.block(step)
        return [column[within] for column in self._drawn(block)]

    @staticmethod
    def block(step: int) -> tuple[int, int]:
        """The block that a step lies in, and its place there."""
        if step < 0:
            raise ValueError(f"Data: steps count from 0; got {step}")
        return divmod(step, BLOCK)

    def _drawn(self, block: int) -> list[np.ndarray]:
        """What `_draw_block` gives; the last block's is kept."""
        if block not in self._blocks:
            self._blocks.clear()
            self._blocks[block] = self._draw_block(block)
        return self._blocks[block]

    @cached_property
    def _blocks(self) -> dict[int, list[np.ndarray]]:
        """The block of steps that was drawn last."""
        return {}

    @cached_property
    def _plans(self) -> dict[int, Tensor]:
        """The block of steps that was planned last."""
        return {}

    def _draw_block(self, block: int) -> list[np.ndarray]:
        """What `_draw` gives for each step of a block, step by step: (BLOCK, B) each."""
        # The step is the upper half of the counter, so no two steps share numbers however many one takes.
        # random_raw is Philox itself, the same in every NumPy; Generator's distributions may change between releases.
        counters = (step << 128 for step in range(block * BLOCK, (block + 1) * BLOCK))
        raw = np.stack([np.random.Philox(key=self.seed, counter=at).random_raw(2 * self.batch_size) for at in counters])
        # The remainder favours some positions by total / 2^64, far below what could ever be noticed.
        position = raw[:, : self.batch_size] % self._ends[-1]
        image = np.searchsorted(self._ends, position, side="right")
        within = position - np.concatenate((np.zeros(1, np.uint64), self._ends))[image]
        top, left = np.divmod(within, self._columns[image])
        orientation = raw[:, self.batch_size :] >> np.uint64(61) if self.augment else np.zeros_like(position)
        return [image, top, left, orientation]


def _strides(corner: np.ndarray, width: np.ndarray, orientation: np.ndarray, side: int) -> np.ndarray:
    """First pixel, step down and step right of crops with a given upper left corner, (…, B, 3) in bytes; see `_cut`."""
    down, right = 3 * width * np.where(orientation & 1, -1, 1), np.where(orientation & 2, -3, 3)
    first = corner - (side - 1) * (np.minimum(down, 0) + np.minimum(right, 0))
    transposed = orientation & 4 != 0
    return np.stack([first, np.where(transposed, right, down), np.where(transposed, down, right)], axis=-1)


def _cut(image: np.ndarray, top: int, left: int, orientation: int, crop: np.ndarray) -> None:
    """Fill a crop, (side, side, 3), from an image, (H, W, 3), in one of the square's 8 orientations."""
    side = len(crop)
    # Whole rows first: memory gives them fastest, and what is turned then lies in the cache.
    found = image[top : top + side, left : left + side].copy()
    if orientation & 1:
        found = found[::-1]
    if orientation & 2:
        found = found[:, ::-1]
    if orientation & 4:
        found = found.transpose(1, 0, 2)
    if orientation < 2:
        crop[...] = found  # whole rows at once
    else:
        # NumPy would copy 3 bytes at a time; a channel at a time is several times as fast.
        for channel in range(3):
            crop[..., channel] = found[..., channel]
