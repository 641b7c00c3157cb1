"""Nearest-neighbour interpolation: each output pixel copies the input pixel that it lies in."""

import math

import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler


class Nearest(Upsampler):
    r"""y[o] = x[⌊(o + ½)/s⌋]: (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋). For an integer s the index is ⌊o/s⌋.

    .. math:: y[o] = x\left[ \left\lfloor \frac{o + 1/2}{s} \right\rfloor \right]

    This is PyTorch's `nearest-exact`; its `nearest` omits the half pixel, which shifts the output for a fractional s.
    An output pixel whose centre falls on the border of two input pixels takes either of them.

    >>> import torch
    >>> Nearest(channels=1, scale=2).upsample_full(torch.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """

    fractional = True

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # For an integer scale the two modes agree, and `nearest` is the faster kernel.
        mode = "nearest" if isinstance(self.scale, int) else "nearest-exact"
        return F.interpolate(x, scale_factor=self._scale_up, mode=mode)

    def multiply_adds(self, height: int, width: int) -> int:
        """Zero: values are copied."""
        return 0

    def input_support(self, output: int) -> range:
        """The input pixel that the output pixel lies in."""
        pixel = math.floor((output + 0.5) / self.scale)
        return range(pixel, pixel + 1)
