"""Blocks and strided convolutions: the network learns how to halve."""

from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor, nn

from upnet.encoders.base import BlockFactory
from upnet.encoders.stages import DEEPEST, Stages
from upnet.site import Site
from upnet.utils.receptive_field import Window
from upnet.utils.seeding import apart


class Strided(Stages):
    """At each level a block, then a 3×3 convolution of stride 2 to the next level's width, without activation.

    Nothing remembers a position, so max-unpooling has no partner here.

    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", https://arxiv.org/abs/1412.6806
    """

    provides = frozenset({"skip"})
    halving = Window.of_kernel(3, stride=2, padding=1)

    def __init__(
        self,
        channels: int,
        block: BlockFactory | None,
        width: Annotated[int, Ge(1)] = 16,
        depth: Annotated[int, Ge(0), Le(DEEPEST)] = 2,
        growth: Annotated[float, Ge(1)] = 2,
        stem_kernel: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        super().__init__(channels, block, width, depth, growth, stem_kernel)
        self.halvings = nn.ModuleList()
        for level, (fine, coarse) in enumerate(zip(self.widths[:-1], self.widths[1:], strict=True)):
            with apart(f"halving {level}"):
                self.halvings.append(nn.Conv2d(fine, coarse, 3, stride=2, padding=1))

    def entries(self) -> tuple[int, ...]:
        """The strided convolution has already widened the features."""
        return self.widths[1:]

    def halve(self, x: Tensor, level: int) -> tuple[Tensor, Site]:
        """(N, widths[level], H, W) -> (N, widths[level + 1], ⌈H/2⌉, ⌈W/2⌉)."""
        return self.halvings[level](x), Site(size=(x.shape[-2], x.shape[-1]), skip=x)
