"""Bed of nails: every value goes to the corner of its block, zeros everywhere else."""

from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.layout import zeros_like


class BedOfNails(Upsampler):
    """y[s·n] = x[n], else 0: (N, C, h, w) -> (N, C, s·h, s·w).

    The sum is preserved. Against the half-pixel grid the centre lies (s − 1)/2 output pixels to the upper left; what
    fills the zeros is left to the convolutions that follow.

    Source: the unpooling of Dosovitskiy et al., "Learning to Generate Chairs, Tables and Cars with Convolutional
    Networks", https://arxiv.org/abs/1411.5928
    """

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, s·h, s·w)."""
        nails = zeros_like(x, *self.enlarged(x.shape[-2], x.shape[-1]))
        nails[..., :: int(self.scale), :: int(self.scale)] = x
        return nails

    def multiply_adds(self, height: int, width: int) -> int:
        """None of any: values are moved."""
        return 0
