"""The base class of encoders: a pyramid of features, with a Site per level for the decoder."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from upnet.blocks import Block
from upnet.site import Site
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import ReceptiveField

BlockFactory = Callable[..., Block]
"""Called as block(in_channels=…, out_channels=…)."""


def require_block(block: BlockFactory | None, encoder: str) -> BlockFactory:
    """The block factory of an encoder whose stages are blocks. Raises UserError if there is none.

    encoder: the class name for the error.
    """
    if block is None:
        raise UserError(
            f"{encoder} needs a block at each of its levels", setting="block", value=None, cure="Set model/block=conv"
        )
    return block


class Encoder(nn.Module, ABC):
    """(N, channels, H, W) -> features on the coarsest grid, and one Site per downsampling, finest first.

    Levels are numbered from the finest grid: level 0 has the (H, W) pixels of the input, and each following level has
    (⌈H/2⌉, ⌈W/2⌉) pixels of the level before. Depth d means levels 0 … d and d sites; `widths[i]` are the
    channels of level i. For depth 2:

        level 0: (N, widths[0], H, W)         -> sites[0], size (H, W)
        level 1: (N, widths[1], ⌈H/2⌉, ⌈W/2⌉) -> sites[1], size (⌈H/2⌉, ⌈W/2⌉)
        level 2: (N, widths[2], ⌈H/4⌉, ⌈W/4⌉) -> returned

    The input is an image minus 0.5, in [−½, ½], so that the zero padding of convolutions is grey rather than black.
    Called as encoder(channels=…, block=…), with the channels of the image and the block of the stages.

    >>> import torch
    >>> from upnet.blocks import ConvBlock
    >>> from upnet.encoders import MaxPoolEncoder
    >>> features, sites = MaxPoolEncoder(3, ConvBlock, width=8, depth=2)(torch.rand(1, 3, 9, 8) - 0.5)
    >>> tuple(features.shape), [site.size for site in sites]
    ((1, 32, 3, 2), [(9, 8), (5, 4)])
    """

    provides: frozenset[str] = frozenset()
    """The fields of Site, other than its size, that the encoder sets at every level."""
    widths: tuple[int, ...]
    """Channels of each level, finest first."""

    @property
    def depth(self) -> int:
        """The number of downsamplings by 2."""
        return len(self.widths) - 1

    @property
    def receptive_fields(self) -> tuple[ReceptiveField, ...] | None:
        """The receptive field of each level in the encoder's input, finest first; None for unknown or unbounded.

        The indices in a site belong to pixels of the coarser level and must lie in that level's receptive field.
        If it is None, the network cannot process an image in tiles. Raises UnknownReceptiveFieldError if a block
        doesn't declare its receptive radius.
        """
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[-1], h, w), [Site of level 0, Site of level 1, …])."""

    def load_pretrained(self) -> None:
        """Load the pretrained weights that the encoder is configured with, if any; called before training from scratch.

        It is not called when a checkpoint is loaded, so that a checkpoint needs no download.
        """
