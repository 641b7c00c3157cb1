"""Nearest neighbour: every output pixel takes the input pixel it lies in."""

import math

import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler


class Nearest(Upsampler):
    """y[o] = x[⌊(o + ½)/s⌋], which for a whole s is ⌊o/s⌋: (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋).

    torch's `nearest-exact`: its `nearest` drops the half pixel, which for a fractional s lies off the centre.
    An output pixel whose centre falls on the border of two input pixels takes either of them.
    """

    fractional = True

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # For a whole scale the two modes agree, and the plain one is the faster kernel.
        mode = "nearest" if isinstance(self.scale, int) else "nearest-exact"
        return F.interpolate(x, scale_factor=self._scale_up, mode=mode)

    def multiply_adds(self, height: int, width: int) -> int:
        """None of any: values are copied."""
        return 0

    def input_support(self, output: int) -> range:
        """The one it lies in."""
        own = math.floor((output + 0.5) / self.scale)
        return range(own, own + 1)
