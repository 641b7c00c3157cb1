"""The contract of an encoder: a pyramid of features, and what each level leaves for the way back."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from upnet.blocks import Block
from upnet.site import Site
from upnet.utils.receptive_field import Window

BlockFactory = Callable[..., Block]
"""Called as block(in_channels=…, out_channels=…)."""


def require_block(block: BlockFactory | None, encoder: str) -> BlockFactory:
    """The block factory of an encoder whose levels are blocks. Raises ValueError if there is none.

    encoder: the encoder's name for the error.
    """
    if block is None:
        raise ValueError(f"{encoder}: block=null, but every level of this encoder is a block; choose model/block=conv")
    return block


class Encoder(nn.Module, ABC):
    """(N, channels, H, W) -> the coarsest features and one Site per halving, finest first.

    A level with (H, W) pixels is followed by one with (⌈H/2⌉, ⌈W/2⌉). A depth of d makes d + 1 levels and d sites:
    `widths[i]` are the channels of level i, finest first, and `widths[-1]` those of the coarsest features. For depth 2
    and H × W pixels:

        level 0: (N, widths[0], H, W)         -> sites[0], size (H, W)
        level 1: (N, widths[1], ⌈H/2⌉, ⌈W/2⌉) -> sites[1], size (⌈H/2⌉, ⌈W/2⌉)
        level 2: (N, widths[2], ⌈H/4⌉, ⌈W/4⌉) -> returned

    Pictures arrive less mid-grey, in [−½, ½], so that the zeros convolutions pad with are grey and not black.
    Constructed as encoder(channels=…, block=…), with the picture's channels and the block to build stages of.
    """

    provides: frozenset[str] = frozenset()
    """The fields of Site, beside its size, that every level fills."""
    widths: tuple[int, ...]
    """Channels of each level, finest first."""

    @property
    def depth(self) -> int:
        """How often the features are halved."""
        return len(self.widths) - 1

    @property
    def windows(self) -> tuple[Window, ...] | None:
        """Which pixels of the picture a pixel of each level is made of, finest level first; None for unknown or all.

        What a site remembers of a halving belongs to a pixel of the coarser level and must lie in that one's window.
        Where it is None no picture can be cut into tiles. Raises UnknownReachError where a block inside doesn't say.
        """
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[-1], h, w), [Site of each level, finest first])."""

    def warm_start(self) -> None:
        """Take over pretrained weights where the encoder was asked for some; called once, before training from scratch.

        Never called when a checkpoint is loaded, so that a checkpoint needs no download.
        """
