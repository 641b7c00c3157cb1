"""An encoder of blocks and max-pooling, which provides the indices of the maxima."""

import torch.nn.functional as F
from torch import Tensor

from upnet.encoders.staged import StagedEncoder
from upnet.site import Site
from upnet.utils.receptive_field import ReceptiveField


class MaxPoolEncoder(StagedEncoder):
    """At each level a block, then 2×2 max-pooling: the encoder of U-Net and, with the pooling indices, of SegNet.

    With depth 0 it is the body of a network on one grid, such as EDSR.

    Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    https://arxiv.org/abs/1511.00561

    >>> import torch
    >>> from upnet.blocks import ConvBlock
    >>> features, sites = MaxPoolEncoder(3, ConvBlock, width=8, depth=1)(torch.rand(1, 3, 6, 6))
    >>> tuple(features.shape), tuple(sites[0].indices.shape)
    ((1, 16, 3, 3), (1, 8, 3, 3))
    """

    provides = frozenset({"indices", "skip"})
    downsample_field = ReceptiveField.of_kernel(2, stride=2, padding=0)

    def downsample(self, x: Tensor, level: int) -> tuple[Tensor, Site]:
        """(N, C, H, W) -> the maxima (N, C, ⌈H/2⌉, ⌈W/2⌉), and a Site with their indices."""
        pooled, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
        return pooled, Site(size=(x.shape[-2], x.shape[-1]), indices=indices, skip=x)
