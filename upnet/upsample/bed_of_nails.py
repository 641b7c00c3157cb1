"""Bed of nails: each value goes to the upper left corner of its s × s block, zeros elsewhere."""

import torch.nn.functional as F
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.memory_format import is_channels_last


class BedOfNails(Upsampler):
    r"""y[s·n] = x[n], else 0: (N, C, h, w) -> (N, C, s·h, s·w).

    .. math:: y[s \, n] = x[n], \quad y[o] = 0 \text{ elsewhere}

    The sum is preserved. Relative to the half-pixel grid, the output is shifted by (s − 1)/2 output pixels to the upper
    left. The convolutions that follow fill the zeros.

    Source: the unpooling of Dosovitskiy et al., "Learning to Generate Chairs, Tables and Cars with Convolutional
    Networks", https://arxiv.org/abs/1411.5928

    >>> import torch
    >>> BedOfNails(channels=1, scale=2).upsample_full(torch.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]
    """

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, s·h, s·w)."""
        zeros = int(self.scale) - 1
        # Padding of an added axis after each row and column, in memory order. Assignment into a tensor of zeros would
        # copy the whole gradient in the backward pass.
        if is_channels_last(x):
            nhwc = x.permute(0, 2, 3, 1)[:, :, None, :, None]
            padded = F.pad(nhwc, (0, 0, 0, zeros, 0, 0, 0, zeros))
            return padded.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
        return F.pad(x[:, :, :, None, :, None], (0, zeros, 0, 0, 0, zeros)).flatten(4, 5).flatten(2, 3)

    def multiply_adds(self, height: int, width: int) -> int:
        """Zero: values are copied."""
        return 0

    def input_support(self, output: int) -> range:
        """One input pixel for the corner of a block, none for the zeros."""
        s = int(self.scale)
        return range(output // s, output // s + (output % s == 0))
