"""Bed of nails: every value goes to the corner of its block, zeros everywhere else."""

import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.memory_format import channels_last


class BedOfNails(Upsampler):
    """y[s·n] = x[n], else 0: (N, C, h, w) -> (N, C, s·h, s·w).

    The sum is preserved. Against the half-pixel grid the centre lies (s − 1)/2 output pixels to the upper left; what
    fills the zeros is left to the convolutions that follow.

    Source: the unpooling of Dosovitskiy et al., "Learning to Generate Chairs, Tables and Cars with Convolutional
    Networks", https://arxiv.org/abs/1411.5928
    """

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, s·h, s·w)."""
        zeros = int(self.scale) - 1
        # Zeros behind every value, in an axis of their own beside its rows and columns, as it lies in memory. Written
        # into a tensor of zeros instead, the values would cost a copy of the whole gradient on the way back.
        if channels_last(x):
            lying = x.permute(0, 2, 3, 1)[:, :, None, :, None]
            grown = F.pad(lying, (0, 0, 0, zeros, 0, 0, 0, zeros))
            return grown.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
        return F.pad(x[:, :, :, None, :, None], (0, zeros, 0, 0, 0, zeros)).flatten(4, 5).flatten(2, 3)

    def multiply_adds(self, height: int, width: int) -> int:
        """None of any: values are moved."""
        return 0

    def input_support(self, output: int) -> range:
        """The input pixel whose corner it is, or none."""
        s = int(self.scale)
        return range(output // s, output // s + (output % s == 0))
