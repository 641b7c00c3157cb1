"""Area: every output pixel is the mean of the input over the square it covers."""

from math import floor

import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.kernels.separable import Separable


class Area(Separable):
    """The mean of the input over [o/s, (o + 1)/s] in each axis: (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋).

    The input counts as squares of one colour. For a whole s every output pixel lies within one of them, and the result
    is that of `Nearest`; for a fractional s those that lie across a border mix the two sides, so that no input pixel
    counts for more than another.
    """

    support = 1

    def kernel(self, distance: Tensor) -> Tensor:
        """How much of the output pixel, 1/s wide, lies in the input pixel at that distance; 1 is all of it."""
        return ((0.5 + 0.5 / self.scale - distance.abs()) * self.scale).clamp(0, 1)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        if not isinstance(self.scale, int):
            return super().expand(x, site)
        return F.interpolate(x, scale_factor=self.scale, mode="nearest")

    def multiply_adds(self, height: int, width: int) -> int:
        """None for a whole scale, which copies; two taps for every value of the two passes else."""
        return 0 if isinstance(self.scale, int) else super().multiply_adds(height, width)

    def input_support(self, output: int) -> range:
        """One input pixel, or the two that the output pixel lies across."""
        if isinstance(self.scale, int):
            return range(output // self.scale, output // self.scale + 1)
        # What lies on a border to the last digits covers nothing of the other side.
        first, last = output / self.scale + 1e-9, (output + 1) / self.scale - 1e-9
        return range(floor(first), floor(last) + 1)
