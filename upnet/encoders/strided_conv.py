"""An encoder of blocks and strided convolutions, whose downsampling is learned."""

from torch import Tensor, nn

from upnet.encoders.staged import StagedEncoder
from upnet.site import Site
from upnet.utils.receptive_field import ReceptiveField
from upnet.utils.seeding import named_rng


class StridedConvEncoder(StagedEncoder):
    """At each level a block, then a 3×3 convolution of stride 2 to the width of the next level, without activation.

    It provides no indices, so that max-unpooling cannot be used with it.

    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", https://arxiv.org/abs/1412.6806

    >>> import torch
    >>> from upnet.blocks import ConvBlock
    >>> features, sites = StridedConvEncoder(3, ConvBlock, width=8, depth=1)(torch.rand(1, 3, 7, 6))
    >>> tuple(features.shape), sites[0].indices
    ((1, 16, 4, 3), None)
    """

    provides = frozenset({"skip"})
    downsample_field = ReceptiveField.of_kernel(3, stride=2, padding=1)

    def build_downsampling(self) -> None:
        """Build a convolution per downsampling."""
        self.halvings = nn.ModuleList()
        for level, (fine, coarse) in enumerate(zip(self.widths[:-1], self.widths[1:], strict=True)):
            # The name of the RNG determines the initial weights and never changes.
            with named_rng(f"halving {level}"):
                self.halvings.append(nn.Conv2d(fine, coarse, 3, stride=2, padding=1))

    def stage_in_channels(self) -> tuple[int, ...]:
        """The width of the stage's own level: the strided convolution has already widened the features."""
        return self.widths[1:]

    def downsample(self, x: Tensor, level: int) -> tuple[Tensor, Site]:
        """(N, widths[level], H, W) -> (N, widths[level + 1], ⌈H/2⌉, ⌈W/2⌉), and the Site of this level."""
        return self.halvings[level](x), Site(size=(x.shape[-2], x.shape[-1]), skip=x)
