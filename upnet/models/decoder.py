"""The way back up: at each level reduce, enlarge, merge."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from upnet.encoders import BlockFactory, Encoder
from upnet.models.wiring import UpsamplerFactory, admit
from upnet.site import Site
from upnet.utils.receptive_field import Span, Window, hull, known
from upnet.utils.seeding import apart


class Level(nn.Module):
    """One step up: a 1×1 convolution to the finer width, the operator, and a block on what comes out and the skip.

    The width is reduced before the operator, which preserves it: that fits max-unpooling, whose positions belong to
    the finer width, and exchanging operators changes exactly one thing.
    """

    def __init__(self, coarse: int, fine: int, block: BlockFactory, upsampler: UpsamplerFactory, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        with apart("reduce"):
            self.reduce = nn.Identity() if coarse == fine else nn.Conv2d(coarse, fine, 1)
        with apart("upsampler"):
            self.upsampler = upsampler(channels=fine, scale=2)
        with apart("merge"):
            self.merge = block(in_channels=2 * fine if skip else fine, out_channels=fine)

    def forward(self, x: Tensor, site: Site) -> Tensor:
        """(N, coarse, h, w) -> (N, fine, *site.size)."""
        site = site if self.skip else replace(site, skip=None)
        grown = self.upsampler(self.reduce(x), site)
        if site.skip is not None:
            grown = torch.cat((grown, site.skip), dim=1)
        return self.merge(grown)

    def sources(self, span: Span) -> tuple[Span, Span]:
        """What a span of its output is made of: of the coarse features, and of the skip.

        Raises UnknownReachError where the operator or the block doesn't say.
        """
        grown = span.widened(known(self.merge))
        coarse = grown.before_growth(2, known(self.upsampler))
        # What an operator itself reads of the skip lies on the coarse pixels that it looks at.
        return coarse, hull((grown, coarse.after_growth(2)) if "skip" in self.upsampler.requires else (grown,))


class Decoder(nn.Module):
    """(N, widths[-1], h, w) and the sites of an encoder -> (N, widths[0], H, W).

    upsamplers: one per level, from the coarsest grid to the finest.

    Raises ValueError where an operator needs what the encoder doesn't leave.
    """

    def __init__(
        self, encoder: Encoder, block: BlockFactory, upsamplers: Sequence[UpsamplerFactory], skip: bool
    ) -> None:
        super().__init__()
        provided = encoder.provides if skip else encoder.provides - {"skip"}
        self.levels = nn.ModuleList()
        for name, level, upsampler in zip(
            level_names(encoder.depth), _coarsest_first(encoder), upsamplers, strict=True
        ):
            with apart(f"level {len(self.levels)}"):
                built = Level(encoder.widths[level + 1], encoder.widths[level], block, upsampler, skip)
            cure = f"{type(encoder).__name__} leaves {', '.join(sorted(provided)) or 'nothing'}"
            admit(built.upsampler, name, provided, f"{cure}; model/encoder=plain pools by maximum and leaves indices")
            self.levels.append(built)

    def forward(self, x: Tensor, sites: Sequence[Site]) -> Tensor:
        """(N, widths[-1], h, w), sites finest first -> (N, widths[0], H, W)."""
        for level, site in zip(self.levels, reversed(sites), strict=True):
            x = level(x, site)
        return x

    def source(self, span: Span, windows: Sequence[Window]) -> Span:
        """The encoder's input pixels that a span of the output is made of, given the encoder's windows."""
        read: list[Span] = []
        for level, fine, coarse in zip(reversed(self.levels), windows[:-1], windows[1:], strict=True):
            assert isinstance(level, Level)
            span, skip = level.sources(span)
            # The positions of a pooling belong to coarse pixels, as the coarsest features themselves.
            read += [fine.source(skip), coarse.source(span)]
        return hull(read)


def level_names(depth: int) -> list[str]:
    """What the places of a decoder are called, from the coarsest grid to the finest: level 2, level 1 for depth 2."""
    return [f"level {level + 1}" for level in reversed(range(depth))]


def _coarsest_first(encoder: Encoder) -> list[int]:
    return list(reversed(range(encoder.depth)))
