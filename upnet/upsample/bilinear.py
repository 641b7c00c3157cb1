"""Bilinear interpolation: the polynomial a + bx + cy + dxy through the four nearest pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.kernels.memory_format import channels_last, on_cpu
from upnet.upsample.kernels.separable import Separable


class Bilinear(Separable):
    """Each output pixel is the mean of its 2×2 nearest input pixels, weighted by a tent in each axis.

    (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋) on the half-pixel grid (`align_corners=False`); borders repeat.
    """

    support = 1

    def kernel(self, distance: Tensor) -> Tensor:
        """The tent 1 − |t|."""
        return (1 - distance.abs()).clamp(min=0)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # torch's own kernel does both axes in one pass, and where channels lie last nothing is faster. In planes it is
        # slow on a CPU; on a GPU its gradient adds up in no fixed order, or by a slow detour where that matters;
        # and where a fractional scale adds no row (1.14 · 6 = 6.84) it copies instead of interpolating.
        slow = on_cpu(x) and not channels_last(x)
        unordered = x.device.type != "cpu" and torch.are_deterministic_algorithms_enabled()
        if slow or unordered or not isinstance(self.scale, int):
            return super().expand(x, site)
        return F.interpolate(x, scale_factor=self._scale_up, mode="bilinear", align_corners=False)
