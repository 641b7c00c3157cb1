"""Blocks and max-pooling, which leaves the positions of its maxima."""

import torch.nn.functional as F
from torch import Tensor

from upnet.encoders.stages import Stages
from upnet.site import Site
from upnet.utils.receptive_field import Window


class Plain(Stages):
    """At each level a block, then 2×2 max-pooling: the encoder of U-Net and, through the positions left, of SegNet.

    With depth 0 it is the trunk of a network on one grid, such as EDSR.

    Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation",
    https://arxiv.org/abs/1511.00561
    """

    provides = frozenset({"indices", "skip"})
    halving = Window.of_kernel(2, stride=2, padding=0)

    def halve(self, x: Tensor, level: int) -> tuple[Tensor, Site]:
        """(N, C, H, W) -> (N, C, ⌈H/2⌉, ⌈W/2⌉) by maximum, and where each came from."""
        pooled, indices = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
        return pooled, Site(size=(x.shape[-2], x.shape[-1]), indices=indices, skip=x)
