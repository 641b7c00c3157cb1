"""Interpolation as two small matrix products: the rows' matrix times the picture times the columns' matrix."""

from abc import abstractmethod

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.layout import channels_last

# With fewer channels, such as a picture's, a product with C columns costs more than copying the planes apart.
NARROW = 8


class Separable(Upsampler):
    """An interpolation on the half-pixel grid, u = (o + ½)/s − ½, by one kernel in each axis; borders repeat.

    As matrix products it is exact in its gradient, deterministic on every device, and runs at the speed of a matrix
    product in any type; the matrices depend on the size alone and are kept.
    """

    fractional = True
    support: int
    """Half the number of input pixels in each axis that one output pixel is made of."""

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__(channels, scale, out_channels)
        self._matrices: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}

    @abstractmethod
    def kernel(self, distance: Tensor) -> Tensor:
        """The weight of an input pixel at a distance in input pixels, within ±support; elementwise."""

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
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

    def matrix(self, length: int) -> Tensor:
        """(⌊s·length⌋, length) float64: one axis of the operator, each row an output pixel's weights, summing to 1."""
        grown, _ = self.enlarged(length, length)
        place = (torch.arange(grown, dtype=torch.float64) + 0.5) / self.scale - 0.5
        first = place.floor() - (self.support - 1)
        taps = first[:, None] + torch.arange(2 * self.support)
        weights = self.kernel(place[:, None] - taps)
        matrix = torch.zeros(grown, length, dtype=torch.float64)
        return matrix.scatter_add_(1, taps.long().clamp(0, length - 1), weights)

    def multiply_adds(self, height: int, width: int) -> int:
        """2·support for every value of the two passes, rows first."""
        tall, wide = self.enlarged(height, width)
        return 2 * self.support * self.out_channels * (tall * width + tall * wide)

    def _matrix(self, length: int, like: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self.matrix(length).to(like)
        key = (length, like.dtype, like.device)
        if key not in self._matrices:
            # A few sizes recur in training; a folder of pictures of many sizes must not pile matrices up.
            if len(self._matrices) >= 16:
                self._matrices.pop(next(iter(self._matrices)))
            # Kept from a validation in inference mode, a matrix has to serve training too.
            with torch.inference_mode(False):
                self._matrices[key] = self.matrix(length).to(like)
        return self._matrices[key]
