"""Interpolation axis by axis: weighted sums of a few pixels, or small matrix products for each axis."""

from abc import abstractmethod
from math import ceil, floor

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.autocast import uncast
from upnet.upsample.kernels.cache import Cache
from upnet.upsample.kernels.csr import Band, Bands, RunBands, Taps, product
from upnet.upsample.kernels.memory_format import NARROW, channels_last, in_format_of, on_cpu

# How many output pixels of a line are made at once: few enough to leave most zeros out, enough for a fast product.
# Products of two-byte numbers cost a GPU next to nothing, so that fewer and larger ones are better there.
BLOCK, LARGE_BLOCK = 64, 256
# A GPU reads fastest from addresses that are a multiple of 16 bytes, so of this many numbers of every type.
ALIGNED = 8


class Separable(Upsampler):
    """An interpolation on the half-pixel grid, u = (o + ½)/s − ½, by one kernel in each axis; borders repeat.

    Memory and work are proportional to the size of the image. The gradient is exact, and deterministic on every device.
    On a CPU every output pixel reads the few pixels it is made of, or a short block of output pixels is a product with
    a small matrix, as all are on a GPU. What depends on the size alone is kept. Compiled, it is a plain composition.
    """

    fractional = True
    support: int
    """Half the number of input pixels in each axis that one output pixel is made of."""

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__(channels, scale, out_channels)
        self._taps: Cache[tuple[Taps, Taps]] = Cache()
        self._bands: Cache[tuple[Bands, Bands]] = Cache()

    @abstractmethod
    def kernel(self, distance: Tensor) -> Tensor:
        """The weight of an input pixel at a distance in input pixels, within ±support; elementwise."""

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # The output is of the type of x, whatever matrix products are cast to around here.
        with uncast(x):
            if torch.compiler.is_compiling():
                return self._composition(x)
            return self._sums(x) if on_cpu(x) else self._products(x)

    def matrix(self, length: int) -> Tensor:
        """(⌊s·length⌋, length) float64: one axis of the operator, each row an output pixel's weights, summing to 1."""
        places, weights = self._neighbours(length)
        return torch.zeros(len(places), length, dtype=torch.float64).scatter_add_(1, places, weights)

    def input_support(self, output: int) -> range:
        """The 2·support nearest, or the pixel itself where the two grids meet."""
        place = (output + 0.5) / self.scale - 0.5
        if abs(place - round(place)) < 1e-9:
            return range(round(place), round(place) + 1)
        first = floor(place) - (self.support - 1)
        return range(first, first + 2 * self.support)

    def multiply_adds(self, height: int, width: int) -> int:
        """2·support for every value of the two passes, rows first."""
        tall, wide = self.output_size(height, width)
        return 2 * self.support * self.out_channels * (tall * width + tall * wide)

    def _neighbours(self, length: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Two (⌊s·length⌋, 2·support): the input pixels that each output pixel is made of, and their weights."""
        grown, _ = self.output_size(length, length)
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
        wide = product(*self._lines(w, x), x)
        tall = product(*self._runs(h, x.dtype), wide.flatten(0, 1)).unflatten(0, (n, c))
        return in_format_of(x, tall)

    def _products(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        rows, cols = self._lines(h, x), self._lines(w, x)
        (down, up), (right, left) = ((RunBands(there), RunBands(back)) for there, back in (rows, cols))
        if channels_last(x) and c >= NARROW:
            # Rows first, on (h, w·C), then columns on (w, C): both products read memory in its own order.
            tall = product(down, up, x.permute(0, 2, 3, 1).reshape(n, h, w * c))
            wide = product(right, left, tall.reshape(-1, w, c))
            return wide.reshape(n, -1, wide.shape[1], c).permute(0, 3, 1, 2)
        wide = product(*cols, x)
        tall = product(down, up, wide.flatten(0, 1)).unflatten(0, (n, c))
        return in_format_of(x, tall)

    def _composition(self, x: Tensor) -> Tensor:
        # What a compiler fuses to one kernel for each axis, forward and backward, without a number from outside.
        last = channels_last(x)
        out = x.permute(0, 2, 3, 1) if last else x
        for axis in (1, 2) if last else (2, 3):
            out = self._axis(out, axis)
        return out.permute(0, 3, 1, 2) if last else out

    def _axis(self, x: Tensor, axis: int) -> Tensor:
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        if not isinstance(self.scale, int):
            places, weights = self._neighbours(x.shape[axis], x.device)
            near = exact.index_select(axis, places.flatten()).unflatten(axis, tuple(places.shape))
            shape = [1] * axis + list(weights.shape) + [1] * (x.dim() - axis - 1)
            return (near * weights.to(exact.dtype).view(shape)).sum(axis + 1).to(x.dtype)
        length, margin, phases = x.shape[axis], self.support, []
        sides = [-1] * x.dim()
        sides[axis] = margin
        before, behind = exact.narrow(axis, 0, 1).expand(sides), exact.narrow(axis, length - 1, 1).expand(sides)
        bordered = torch.cat((before, exact, behind), axis)
        place = (torch.arange(self.scale, dtype=torch.float64, device=x.device) + 0.5) / self.scale - 0.5
        for phase in range(self.scale):
            first = floor((phase + 0.5) / self.scale - 0.5) - (margin - 1)
            weights = self.kernel(place[phase] - torch.arange(first, first + 2 * margin, device=x.device)).to(exact)
            near = [bordered.narrow(axis, margin + first + tap, length) * weights[tap] for tap in range(2 * margin)]
            phases.append(sum(near[1:], near[0]))
        return torch.stack(phases, axis + 1).flatten(axis, axis + 1).to(x.dtype)

    def _runs(self, length: int, dtype: torch.dtype) -> tuple[Taps, Taps]:
        """One axis where each of its pixels is a run of values in memory, and its transpose."""

        def make() -> tuple[Taps, Taps]:
            places, weights = self._neighbours(length)
            taps = Taps.of(places, weights.to(dtype), length)
            return taps, taps.transposed()

        return self._taps.get((length, dtype), make)

    def _lines(self, length: int, like: Tensor) -> tuple[Bands, Bands]:
        """One axis where its pixels are neighbours in memory, and its transpose, for tensors like the one given."""
        cpu = on_cpu(like)
        size = LARGE_BLOCK if like.element_size() == 2 and not cpu else BLOCK
        return self._bands.get(
            (length, like.dtype, like.device), lambda: self._banded(length, size, 1 if cpu else ALIGNED, like)
        )

    def _banded(self, length: int, size: int, aligned: int, like: Tensor) -> tuple[Bands, Bands]:
        places, weights = self._neighbours(length)

        def block(outputs: slice, inputs: slice) -> Tensor:
            width = inputs.stop - inputs.start
            at = places[outputs] - inputs.start
            inside = (at >= 0) & (at < width)
            empty = torch.zeros(len(at), width, dtype=weights.dtype)
            return empty.scatter_add_(1, at.clamp(0, width - 1), weights[outputs] * inside).to(like)

        def widened(low: int, high: int, most: int) -> slice:
            return slice(max(0, low // aligned * aligned), min(most, -(-high // aligned) * aligned))

        there, back = [], []
        step, grown, margin = ceil(size / self.scale), len(places), self.support + 1
        for first in range(0, length, step):
            last = min(length, first + step)
            # A margin of one pixel more than the support is generous, and what lies off the band is zero.
            outputs = slice(floor(first * self.scale), grown if last == length else floor(last * self.scale))
            inputs = widened(first - margin, last + margin, length)
            there.append(Band(outputs.start, inputs.start, block(outputs, inputs).T.contiguous()))
            outputs = widened(floor(max(0, first - margin) * self.scale), ceil((last + margin) * self.scale), grown)
            back.append(Band(first, outputs.start, block(outputs, slice(first, last))))
        return Bands(tuple(there)), Bands(tuple(back))
