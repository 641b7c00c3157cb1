"""Area: each output pixel is the mean of the input over the square that it covers."""

from math import floor

import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.kernels.separable import Separable


class Area(Separable):
    r"""Mean of the input over [o/s, (o + 1)/s] along each axis: (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋).

    .. math::
        y[o] = s^2 \int_{o_1/s}^{(o_1 + 1)/s} \int_{o_2/s}^{(o_2 + 1)/s}
        x[\lfloor t_1 \rfloor, \lfloor t_2 \rfloor] \, \mathrm{d}t_2 \, \mathrm{d}t_1

    Symbols: t is a position in input pixels.

    Input pixels count as squares of constant value. For an integer s each output pixel lies inside one of them, and the
    result equals `Nearest`. For a fractional s, output pixels that cross a border mix two inputs, so that all input
    pixels have the same total weight.

    >>> import torch
    >>> Area(channels=1, scale=1.5).upsample_full(torch.tensor([[[[0.0, 6.0]]]])).tolist()
    [[[[0.0, 3.0, 6.0]]]]
    """

    support = 1

    def kernel(self, distance: Tensor) -> Tensor:
        """Fraction of the output pixel, 1/s wide, that lies in the input pixel at this distance; in [0, 1]."""
        return ((0.5 + 0.5 / self.scale - distance.abs()) * self.scale).clamp(0, 1)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        if not isinstance(self.scale, int):
            return super().expand(x, site)
        return F.interpolate(x, scale_factor=self.scale, mode="nearest")

    def multiply_adds(self, height: int, width: int) -> int:
        """Zero for an integer scale, which copies values; otherwise two per value of each of the two passes."""
        return 0 if isinstance(self.scale, int) else super().multiply_adds(height, width)

    def input_support(self, output: int) -> range:
        """One input pixel, or two where the output pixel crosses a border."""
        if isinstance(self.scale, int):
            return range(output // self.scale, output // self.scale + 1)
        # An output pixel that ends at a border up to rounding covers nothing beyond it.
        first, last = output / self.scale + 1e-9, (output + 1) / self.scale - 1e-9
        return range(floor(first), floor(last) + 1)
