"""What a pixel is made of, along one axis: spans of pixels followed back through a network."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn


class UnknownReachError(ValueError):
    """A part of a network doesn't say how far its pixels look, so a picture can't be cut into tiles."""


def known(part: nn.Module) -> int:
    """How far a block or an operator says that its pixels look. Raises UnknownReachError where it doesn't say."""
    reach = getattr(part, "receptive_radius", None)
    if reach is None:
        raise UnknownReachError(unknown(type(part).__name__, "receptive_radius"))
    return int(reach)


def unknown(name: str, fact: str) -> str:
    """The sentence that a refusal to cut pictures into tiles says."""
    return (
        f"{name} does not say how far its pixels look, which tiles must know: declare {name}.{fact} where there is a "
        "bound; where there is none, take tile=auto or tile=none, which leave the picture whole"
    )


class Span(NamedTuple):
    """The pixels from `first` to `last`, both included; they may lie beyond the borders."""

    first: int
    last: int

    def widened(self, by: int) -> "Span":
        """With `by` pixels more at each end."""
        return Span(self.first - by, self.last + by)

    def before_growth(self, scale: int, reach: int) -> "Span":
        """The input pixels that an operator of that scale and reach makes these output pixels of."""
        return Span(self.first // scale - reach, self.last // scale + reach)

    def after_growth(self, scale: int) -> "Span":
        """The pixels that cover these on a grid `scale` times as fine."""
        return Span(self.first * scale, self.last * scale + scale - 1)


def hull(spans: Iterable[Span]) -> Span:
    """The shortest span that holds all of them, of which there is one at least."""
    firsts, lasts = zip(*spans, strict=True)
    return Span(min(firsts), max(lasts))


class Window(NamedTuple):
    """Pixel j of a map reads pixels stride·j − before … stride·j + after of another, the same for every j."""

    stride: int
    before: int
    after: int

    @classmethod
    def around(cls, reach: int) -> "Window":
        """Of a map on the same grid that looks equally far to both sides."""
        return cls(1, reach, reach)

    @classmethod
    def of_kernel(cls, kernel: int, stride: int, padding: int) -> "Window":
        """Of a convolution or a pooling."""
        return cls(stride, padding, kernel - 1 - padding)

    def then(self, following: "Window") -> "Window":
        """What `following`, which reads this map, reads of this map's input."""
        return Window(
            self.stride * following.stride,
            self.stride * following.before + self.before,
            self.stride * following.after + self.after,
        )

    def source(self, span: Span) -> Span:
        """What a span of pixels reads."""
        return Span(self.stride * span.first - self.before, self.stride * span.last + self.after)


@dataclass(frozen=True, slots=True)
class Margin:
    """What a tile of LR pixels needs to come out as in the whole picture, the same for both axes.

    alignment:     a tile and what is computed around it begin at a multiple of this many pixels, so that poolings and
                   strides fall on the pixels they fall on in the whole picture.
    before, after: how many pixels a tile that begins and ends at such multiples looks at on either side.
    """

    alignment: int
    before: int
    after: int

    def aligned(self, length: int) -> int:
        """The length, rounded up to the alignment."""
        return -(-length // self.alignment) * self.alignment

    def around(self, kept: range, length: int) -> range:
        """What has to be computed for some of the `length` pixels of an axis: as far as they look, within the picture.

        Beyond the picture's borders a network pads or repeats, and for a tile at the border it does just that.
        """
        start = (kept.start - self.before) // self.alignment * self.alignment
        return range(max(0, start), min(length, self.aligned(kept.stop + self.after)))
