"""Interpolation axis by axis: weighted sums of a few pixels, or a small matrix product for each axis."""

from abc import abstractmethod
from collections.abc import Callable, Hashable
from math import ceil, floor
from typing import TypeVar

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.layout import channels_last
from upnet.upsample.sparse import Band, Bands, Taps, product
from upnet.upsample.uncast import uncast

# With fewer channels, such as a picture's, sums over C values cost more than copying the planes apart.
NARROW = 8
# How many output pixels of a line are made at once: few enough to leave most zeros out, enough for a fast product.
BLOCK = 64

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Separable(Upsampler):
    """An interpolation on the half-pixel grid, u = (o + ½)/s − ½, by one kernel in each axis; borders repeat.

    It is exact in its gradient and deterministic on every device. On a CPU every output pixel reads the few pixels it
    is made of; on a GPU, and compiled, both axes are products with matrices. What depends on the size alone is kept.
    """

    fractional = True
    support: int
    """Half the number of input pixels in each axis that one output pixel is made of."""

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__(channels, scale, out_channels)
        self._matrices: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}
        self._taps: dict[tuple[int, torch.dtype], tuple[Taps, Taps]] = {}
        self._bands: dict[tuple[int, torch.dtype], tuple[Bands, Bands]] = {}

    @abstractmethod
    def kernel(self, distance: Tensor) -> Tensor:
        """The weight of an input pixel at a distance in input pixels, within ±support; elementwise."""

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # The output is of the type of x, whatever matrix products are cast to around here.
        with uncast(x):
            if x.device.type != "cpu" or torch.compiler.is_compiling():
                return self._products(x)
            return self._sums(x)

    def matrix(self, length: int) -> Tensor:
        """(⌊s·length⌋, length) float64: one axis of the operator, each row an output pixel's weights, summing to 1."""
        places, weights = self._neighbours(length)
        return torch.zeros(len(places), length, dtype=torch.float64).scatter_add_(1, places, weights)

    def touched(self, output: int) -> range:
        """The 2·support nearest, or the pixel itself where the two grids meet."""
        place = (output + 0.5) / self.scale - 0.5
        if abs(place - round(place)) < 1e-9:
            return range(round(place), round(place) + 1)
        first = floor(place) - (self.support - 1)
        return range(first, first + 2 * self.support)

    def multiply_adds(self, height: int, width: int) -> int:
        """2·support for every value of the two passes, rows first."""
        tall, wide = self.enlarged(height, width)
        return 2 * self.support * self.out_channels * (tall * width + tall * wide)

    def _neighbours(self, length: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Two (⌊s·length⌋, 2·support): the input pixels that each output pixel is made of, and their weights."""
        grown, _ = self.enlarged(length, length)
        place = (torch.arange(grown, dtype=torch.float64, device=device) + 0.5) / self.scale - 0.5
        first = place.floor() - (self.support - 1)
        near = first[:, None] + torch.arange(2 * self.support, device=device)
        return near.long().clamp(0, length - 1), self.kernel(place[:, None] - near)

    def _sums(self, x: Tensor) -> Tensor:
        # Columns first, while there are few rows; the pass over the rows then writes the whole output once.
        n, c, h, w = x.shape
        if channels_last(x) and c >= NARROW:
            wide = product(*self._runs(w, x.dtype), x.permute(0, 2, 3, 1).reshape(n * h, w, c))
            tall = product(*self._runs(h, x.dtype), wide.view(n, h, -1))
            return tall.unflatten(2, (-1, c)).permute(0, 3, 1, 2)
        wide = product(*self._lines(w, x.dtype), x)
        tall = product(*self._runs(h, x.dtype), wide.flatten(0, 1)).unflatten(0, (n, c))
        return tall.contiguous(memory_format=torch.channels_last) if channels_last(x) else tall

    def _products(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        rows, cols = self._matrix(h, x), self._matrix(w, x)
        if not channels_last(x):
            return rows @ x @ cols.T
        if c < NARROW:
            return (rows @ x.contiguous() @ cols.T).contiguous(memory_format=torch.channels_last)
        # Rows first, on (h, w·C), then columns on (w, C): both products read memory as it lies.
        tall = rows @ x.permute(0, 2, 3, 1).reshape(n, h, w * c)
        wide = cols @ tall.reshape(n * rows.shape[0], w, c)
        return wide.reshape(n, rows.shape[0], cols.shape[0], c).permute(0, 3, 1, 2)

    def _matrix(self, length: int, like: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Made where it is used, and in plain sums: a copy from the CPU would keep the step out of a CUDA graph.
            places, weights = self._neighbours(length, like.device)
            own = places[:, :, None] == torch.arange(length, device=like.device)
            return (own * weights[:, :, None]).sum(1).to(like)
        return _kept(self._matrices, (length, like.dtype, like.device), lambda: self.matrix(length).to(like))

    def _runs(self, length: int, dtype: torch.dtype) -> tuple[Taps, Taps]:
        """One axis where each of its pixels is a run of values in memory, and its transpose."""

        def make() -> tuple[Taps, Taps]:
            places, weights = self._neighbours(length)
            taps = Taps.of(places, weights.to(dtype), length)
            return taps, taps.transposed()

        return _kept(self._taps, (length, dtype), make)

    def _lines(self, length: int, dtype: torch.dtype) -> tuple[Bands, Bands]:
        """One axis where its pixels are neighbours in memory, and its transpose."""

        def make() -> tuple[Bands, Bands]:
            places, weights = self._neighbours(length)

            def block(outputs: slice, low: int, high: int) -> Tensor:
                at = places[outputs] - low
                inside = (at >= 0) & (at < high - low)
                empty = torch.zeros(len(at), high - low, dtype=weights.dtype)
                return empty.scatter_add_(1, at.clamp(0, high - low - 1), weights[outputs] * inside).to(dtype)

            there, back = [], []
            step, grown, margin = ceil(BLOCK / self.scale), len(places), self.support + 1
            for first in range(0, length, step):
                last = min(length, first + step)
                # A margin of one pixel more than the support is generous, and what lies off the band is zero.
                begin, end = floor(first * self.scale), grown if last == length else floor(last * self.scale)
                low, high = max(0, first - margin), min(length, last + margin)
                there.append(Band(begin, low, block(slice(begin, end), low, high).T.contiguous()))
                left, right = floor(low * self.scale), min(grown, ceil((last + margin) * self.scale))
                back.append(Band(first, left, block(slice(left, right), first, last)))
            return Bands(tuple(there)), Bands(tuple(back))

        return _kept(self._bands, (length, dtype), make)


def _kept(known: dict[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
    if key not in known:
        # A few sizes recur in training; a folder of pictures of many sizes must not pile matrices up.
        if len(known) >= 16:
            known.pop(next(iter(known)))
        # Kept from a validation in inference mode, a matrix has to serve training too.
        with torch.inference_mode(False):
            known[key] = make()
    return known[key]
