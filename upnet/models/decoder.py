"""The decoder: one level per encoder level but the coarsest, each one upsampling by 2.

Levels are numbered as in the encoder: level 0 has the finest grid. The decoder runs from level depth − 1 to level 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from upnet.encoders import BlockFactory, Encoder
from upnet.models.wiring import UpsamplerFactory, check_requirements
from upnet.site import Site
from upnet.utils.receptive_field import ReceptiveField, Span, hull, require_radius
from upnet.utils.seeding import named_rng


class DecoderLevel(nn.Module):
    """One decoder level: 1×1 convolution to the finer width, upsampling, concatenation with the skip, block.

    The width is reduced before the upsampler, which preserves it. That fits max-unpooling, whose indices belong to the
    finer width, and exchanging upsamplers changes nothing else.

    coarse, fine: channels of the next coarser level and of this level.
    skip:         whether the skip of the site is concatenated.
    """

    def __init__(self, coarse: int, fine: int, block: BlockFactory, upsampler: UpsamplerFactory, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        with named_rng("reduce"):
            self.reduce = nn.Identity() if coarse == fine else nn.Conv2d(coarse, fine, 1)
        with named_rng("upsampler"):
            self.upsampler = upsampler(channels=fine, scale=2)
        with named_rng("merge"):
            self.merge = block(in_channels=2 * fine if skip else fine, out_channels=fine)

    def forward(self, x: Tensor, site: Site) -> Tensor:
        """(N, coarse, h, w) -> (N, fine, H, W) with (H, W) = site.size."""
        site = site if self.skip else replace(site, skip=None)
        x = self.reduce(x)  # (N, fine, h, w)
        x = self.upsampler(x, site)  # (N, fine, H, W)
        if site.skip is not None:
            x = torch.cat((x, site.skip), dim=1)  # (N, 2·fine, H, W)
        return self.merge(x)  # (N, fine, H, W)

    def input_spans(self, span: Span) -> tuple[Span, Span]:
        """The coarse pixels and the pixels of the skip that a span of output pixels depends on.

        Raises UnknownReceptiveFieldError if the upsampler or the block doesn't declare its receptive radius.
        """
        skip = span.widened(require_radius(self.merge))
        coarse = skip.to_input(2, require_radius(self.upsampler))
        if "skip" in self.upsampler.requires:  # it reads the skip within its receptive radius
            skip = hull((skip, coarse.to_output(2)))
        return coarse, skip


class Decoder(nn.Module):
    """The coarsest features and the sites of an encoder -> features on the finest grid, (N, widths[0], H, W).

    upsamplers: one per level, from the coarsest grid to the finest.
    skip:       whether each level concatenates the encoder features of its grid.

    Raises UserError if an upsampler requires what the encoder doesn't provide.

    >>> import torch
    >>> from upnet.blocks import ConvBlock
    >>> from upnet.encoders import MaxPoolEncoder
    >>> from upnet.upsample import MaxUnpool, Nearest
    >>> encoder = MaxPoolEncoder(3, ConvBlock, width=4, depth=2)
    >>> decoder = Decoder(encoder, ConvBlock, [MaxUnpool, Nearest], skip=True)
    >>> decoder(*encoder(torch.rand(1, 3, 9, 8))).shape
    torch.Size([1, 4, 9, 8])
    """

    def __init__(
        self, encoder: Encoder, block: BlockFactory, upsamplers: Sequence[UpsamplerFactory], skip: bool
    ) -> None:
        super().__init__()
        provided = encoder.provides if skip else encoder.provides - {"skip"}
        levels: dict[str, DecoderLevel] = {}
        for number, upsampler in enumerate(upsamplers):
            level = encoder.depth - 1 - number
            # The name of the RNG counts from the coarsest level. It determines the initial weights and never changes.
            with named_rng(f"level {number}"):
                decoder_level = DecoderLevel(encoder.widths[level + 1], encoder.widths[level], block, upsampler, skip)
            cure = (
                f"{type(encoder).__name__} provides {', '.join(sorted(provided)) or 'nothing'}. "
                "Set model/encoder=max_pool, which provides the indices of its max-pooling"
            )
            check_requirements(decoder_level.upsampler, level_name(level), provided, cure)
            levels[str(level)] = decoder_level
        self.levels = nn.ModuleDict(levels)

    def forward(self, x: Tensor, sites: Sequence[Site]) -> Tensor:
        """(N, widths[-1], h, w) and the sites by level -> (N, widths[0], H, W)."""
        for level in reversed(range(len(sites))):
            x = self.levels[str(level)](x, sites[level])
        return x

    def by_level(self) -> Mapping[int, DecoderLevel]:
        """Level number -> decoder level, from the coarsest to the finest."""
        return {int(name): cast(DecoderLevel, level) for name, level in self.levels.items()}

    def input_span(self, span: Span, receptive_fields: Sequence[ReceptiveField]) -> Span:
        """The input pixels of the encoder that a span of output pixels depends on.

        receptive_fields: the encoder's, by level.
        """
        spans: list[Span] = []
        for level, decoder_level in sorted(self.by_level().items()):
            span, skip = decoder_level.input_spans(span)
            # The indices of a max-pooling belong to coarse pixels, as the coarse features do.
            spans += [receptive_fields[level].to_input(skip), receptive_fields[level + 1].to_input(span)]
        return hull(spans)


def level_name(level: int) -> str:
    """The name of a level in messages, tables and plans.

    >>> level_name(0)
    'level 0'
    """
    return f"level {level}"
