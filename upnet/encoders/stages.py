"""What the encoders made of our own blocks share: a stem, and a block at each level."""

from abc import abstractmethod
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor, nn

from upnet.blocks.base import same_padding
from upnet.encoders.base import BlockFactory, Encoder, require_block
from upnet.site import Site
from upnet.utils.receptive_field import Window, known
from upnet.utils.seeding import apart

DEEPEST = 16
"""Halvings that any picture has: 65536 pixels become one."""


class Stages(Encoder):
    """A stem, then at each level a block and a halving, which a subclass defines.

    width:       channels of the finest level; each coarser level has `growth` times as many.
    depth:       how often the features are halved.
    stem_kernel: a convolution of this size, without activation, in front of the first block; None leaves it out.

    Raises ValueError for a width below 1, a depth below 0 or above 16, a growth below 1 and an even stem_kernel.
    """

    halving: Window
    """What a pixel that a halving makes is made of."""

    def __init__(
        self,
        channels: int,
        block: BlockFactory | None,
        width: Annotated[int, Ge(1)] = 16,
        depth: Annotated[int, Ge(0), Le(DEEPEST)] = 2,
        growth: Annotated[float, Ge(1)] = 2,
        stem_kernel: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        block = require_block(block, name)
        if width < 1 or not 0 <= depth <= DEEPEST or growth < 1:
            raise ValueError(
                f"{name}: width and growth start at 1, and depth lies between 0 and {DEEPEST}; "
                f"got width={width}, depth={depth}, growth={growth}"
            )
        self.widths = tuple(round(width * growth**level) for level in range(depth + 1))
        if stem_kernel is None:
            self.stem, entry = nn.Identity(), channels
        else:
            with apart("stem"):
                self.stem = nn.Conv2d(channels, width, stem_kernel, padding=same_padding(stem_kernel, name))
            entry = width
        entries = (entry, *self.entries())
        self.stages = nn.ModuleList()
        for level, (before, behind) in enumerate(zip(entries, self.widths, strict=True)):
            with apart(f"stage {level}"):
                self.stages.append(block(in_channels=before, out_channels=behind))

    def entries(self) -> tuple[int, ...]:
        """The channels that reach each level from the second on: those of the level above."""
        return self.widths[:-1]

    @property
    def windows(self) -> tuple[Window, ...]:
        """The stem's, then each block's and halving's in turn. Raises UnknownReachError where a block doesn't say."""
        seen = Window.around(0 if isinstance(self.stem, nn.Identity) else self.stem.kernel_size[0] // 2)
        levels: list[Window] = []
        for stage in self.stages:
            seen = (seen.then(self.halving) if levels else seen).then(Window.around(known(stage)))
            levels.append(seen)
        return tuple(levels)

    @abstractmethod
    def halve(self, x: Tensor, level: int) -> tuple[Tensor, Site]:
        """(N, widths[level], H, W) -> (N, C, ⌈H/2⌉, ⌈W/2⌉) for the next level, and the site left behind."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[-1], h, w), [Site of each level, finest first])."""
        x = self.stem(x)
        sites: list[Site] = []
        for level, stage in enumerate(self.stages):
            x = stage(x)
            if level < self.depth:
                x, site = self.halve(x, level)
                sites.append(site)
        return x, sites
