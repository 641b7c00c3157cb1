"""CropSampler: the training stream of random crops. A batch is a pure function of (seed, step).

B: crops per batch. P: side of an LR crop. s: scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from upnet.data.store import Store
from upnet.utils.errors import UserError

BLOCK = 64
"""Number of steps whose random numbers are drawn together, which takes less time per step."""


@dataclass(frozen=True)
class CropSampler:
    """Random crops of LR and HR at the same position, rotated and mirrored.

    Every LR crop position of the store has the same probability, so an image is drawn in proportion to the number of
    its crop positions. If all images had the same probability, the pixels of a small image would be drawn much more
    often than those of a large one.

    store:      the images.
    patch:      side of the LR crops in pixels, P; the side of the HR crops is s·P.
    batch_size: crops per batch, B, over all processes.
    seed:       seed of the stream, 0 or larger.
    scale:      the scale of the store, s.
    augment:    apply one of the square's 8 orientations to each crop (4 rotations, each mirrored or not).

    Raises UserError for numbers out of range, and if images are smaller than the patch.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves, build_store
    >>> cache = TemporaryDirectory()
    >>> store = build_store(DeadLeaves(count=2, size=64), scale=2, cache_dir=cache.name)
    >>> batch = CropSampler(store, patch=8, batch_size=4, seed=0, scale=2).batch(step=10)
    >>> batch["lr"].shape, batch["hr"].shape
    (torch.Size([4, 3, 8, 8]), torch.Size([4, 3, 16, 16]))
    """

    store: Store
    patch: int
    batch_size: int
    seed: int
    scale: int
    augment: bool = True

    def __post_init__(self) -> None:
        minima = (("patch", self.patch, 1), ("batch_size", self.batch_size, 1), ("seed", self.seed, 0))
        for name, value, minimum in minima:
            if value < minimum:
                raise UserError("too small", setting=f"data.{name}", value=value, allowed=f"{minimum} or larger")
        if self.scale != self.store.scale:
            problem = f"the images of {self.store.name} were prepared for scale {self.store.scale}"
            raise UserError(problem, setting="data.scale", value=self.scale)
        side = self.patch * self.scale
        too_small = [
            f"{name} ({height}×{width})"
            for name, (height, width) in zip(self.store.names, self.store.sizes, strict=True)
            if min(height, width) < side
        ]
        if too_small:
            raise UserError(
                f"the patch needs HR images of at least {side}×{side} pixels, and {self.store.name} has "
                f"{len(too_small)} smaller ones: {', '.join(too_small[:5])}{', …' if len(too_small) > 5 else ''}",
                setting="data.patch",
                value=self.patch,
                cure="Choose a smaller patch or remove these images",
            )

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Tensor]:
        """The batch of a step, or the rows of it that belong to process `rank` of `world_size`.

        Returns {"lr": (B / world_size, 3, P, P), "hr": (B / world_size, 3, s·P, s·P)}, uint8, channels_last.
        Raises UserError if B is not a multiple of world_size.
        """
        rows = self.rank_rows(rank, world_size)
        images, tops, lefts, orientations = (values[rows] for values in self._draw(step))
        count, hr_side = len(images), self.patch * self.scale
        lr = np.empty((count, self.patch, self.patch, 3), np.uint8)
        hr = np.empty((count, hr_side, hr_side, 3), np.uint8)
        for row in range(count):
            image, top, left, orientation = int(images[row]), int(tops[row]), int(lefts[row]), int(orientations[row])
            _crop(self.store.lr(image), top, left, orientation, lr[row])
            _crop(self.store.hr(image), top * self.scale, left * self.scale, orientation, hr[row])
        return {"lr": torch.from_numpy(lr).permute(0, 3, 1, 2), "hr": torch.from_numpy(hr).permute(0, 3, 1, 2)}

    def rank_rows(self, rank: int, world_size: int) -> slice:
        """The rows of a batch that belong to a process. Raises UserError if B is not a multiple of world_size."""
        if self.batch_size % world_size:
            raise UserError(
                "the batch cannot be divided equally among the processes",
                setting="data.batch_size",
                value=self.batch_size,
                allowed=f"a multiple of the {world_size} processes",
            )
        rows = self.batch_size // world_size
        return slice(rank * rows, (rank + 1) * rows)

    def crop_positions(self, step: int) -> Sequence[tuple[str, int, int]]:
        """(image name, row, column) of the upper left corner of each crop of a step, in LR pixels."""
        images, tops, lefts, _ = self._draw(step)
        return [
            (self.store.names[image], int(top), int(left)) for image, top, left in zip(images, tops, lefts, strict=True)
        ]

    @staticmethod
    def split_step(step: int) -> tuple[int, int]:
        """The index of the block that contains a step, and the index of the step in the block."""
        if step < 0:
            raise ValueError(f"step must be 0 or larger; got {step}")
        return divmod(step, BLOCK)

    @cached_property
    def _positions_per_row(self) -> np.ndarray:
        """The number of crop positions along each image's width."""
        return np.array([width // self.scale - self.patch + 1 for _, width in self.store.sizes], np.uint64)

    @cached_property
    def _cumulative_positions(self) -> np.ndarray:
        """The cumulative sum of the images' numbers of crop positions."""
        rows = np.array([height // self.scale - self.patch + 1 for height, _ in self.store.sizes], np.uint64)
        return np.cumsum(rows * self._positions_per_row)

    @cached_property
    def _draw_cache(self) -> dict[int, list[np.ndarray]]:
        """{index of the block: its draws}, for the last block that was used."""
        return {}

    def _draw(self, step: int) -> list[np.ndarray]:
        """`draw_block` for one step: (B,) each."""
        block, index = self.split_step(step)
        return [values[index] for values in self.draw_block(block)]

    def draw_block(self, block: int) -> list[np.ndarray]:
        """Image index, row, column and orientation (0..7) of all crops of a block of steps: (BLOCK, B) each.

        block: its index; block b contains the steps BLOCK·b to BLOCK·b + BLOCK − 1.
        """
        if block not in self._draw_cache:
            self._draw_cache.clear()
            self._draw_cache[block] = self._draw_block(block)
        return self._draw_cache[block]

    def _draw_block(self, block: int) -> list[np.ndarray]:
        # The step is the upper half of the counter: no two steps share random numbers, however many one step needs.
        # random_raw is the output of Philox, the same in all NumPy versions; distributions of Generator may change.
        counters = (step << 128 for step in range(block * BLOCK, (block + 1) * BLOCK))
        generators = (np.random.Philox(key=self.seed, counter=counter) for counter in counters)
        raw = np.stack([generator.random_raw(2 * self.batch_size) for generator in generators])
        # The modulo makes some positions more likely by a factor of 1 + total / 2^64, which is negligible.
        position = raw[:, : self.batch_size] % self._cumulative_positions[-1]
        image = np.searchsorted(self._cumulative_positions, position, side="right")
        position_in_image = position - np.concatenate((np.zeros(1, np.uint64), self._cumulative_positions))[image]
        top, left = np.divmod(position_in_image, self._positions_per_row[image])
        orientation = raw[:, self.batch_size :] >> np.uint64(61) if self.augment else np.zeros_like(position)
        return [image, top, left, orientation]


def _crop(image: np.ndarray, top: int, left: int, orientation: int, crop: np.ndarray) -> None:
    """Fill a crop, (side, side, 3), from an image, (H, W, 3).

    orientation: 0..7; bit 0 flips rows, bit 1 flips columns, bit 2 then transposes.
    """
    side = len(crop)
    # Copy complete rows before the strided access below, which is faster.
    window = image[top : top + side, left : left + side].copy()
    if orientation & 1:
        window = window[::-1]
    if orientation & 2:
        window = window[:, ::-1]
    if orientation & 4:
        window = window.transpose(1, 0, 2)
    if orientation < 2:
        crop[...] = window
    else:
        # Channel by channel: NumPy copies the 3 bytes of each pixel much more slowly.
        for channel in range(3):
            crop[..., channel] = window[..., channel]
