"""Receptive fields along one axis, computed from the output of a network back to its input."""

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from upnet.utils.errors import UserError


class UnknownReceptiveFieldError(UserError):
    """A module doesn't declare its receptive field, without which images cannot be split into tiles."""

    def __init__(self, module: nn.Module, attribute: str) -> None:
        name = type(module).__name__
        super().__init__(
            f"{name} doesn't declare its receptive field, which tiles need",
            cure=f"Declare {name}.{attribute} if the receptive field is bounded. Otherwise set tile=none or "
            "tile=auto; images are then not split",
        )


def require_radius(module: nn.Module) -> int:
    """The receptive radius that a block or an upsampler declares, in pixels of its input.

    Raises UnknownReceptiveFieldError if it declares none.

    >>> from upnet.blocks import ConvBlock
    >>> require_radius(ConvBlock(8, 8, layers=2, kernel_size=3))
    2
    """
    radius = getattr(module, "receptive_radius", None)
    if radius is None:
        raise UnknownReceptiveFieldError(module, "receptive_radius")
    return int(radius)


class Span(NamedTuple):
    """The pixels `first` … `last`, both included. They may lie outside the image.

    >>> Span(0, 7).widened(1).to_input(scale=2, radius=1)
    Span(first=-2, last=5)
    """

    first: int
    last: int

    def widened(self, by: int) -> "Span":
        """The span with `by` more pixels at each end."""
        return Span(self.first - by, self.last + by)

    def to_input(self, scale: int, radius: int) -> "Span":
        """The input pixels of an upsampler that these output pixels depend on.

        radius: the upsampler's receptive radius in input pixels.
        """
        return Span(self.first // scale - radius, self.last // scale + radius)

    def to_output(self, scale: int) -> "Span":
        """The same area on a grid with `scale` times as many pixels per axis."""
        return Span(self.first * scale, self.last * scale + scale - 1)


def hull(spans: Iterable[Span]) -> Span:
    """The shortest span that contains all spans; at least one is given.

    >>> hull([Span(0, 3), Span(2, 9)])
    Span(first=0, last=9)
    """
    firsts, lasts = zip(*spans, strict=True)
    return Span(min(firsts), max(lasts))


class ReceptiveField(NamedTuple):
    """Pixel j of a feature map depends on the input pixels stride·j − before … stride·j + after, for every j.

    >>> conv = ReceptiveField.of_kernel(3, stride=1, padding=1)
    >>> pool = ReceptiveField.of_kernel(2, stride=2, padding=0)
    >>> conv.compose(pool)
    ReceptiveField(stride=2, before=1, after=2)
    """

    stride: int
    before: int
    after: int

    @classmethod
    def of_radius(cls, radius: int) -> "ReceptiveField":
        """Of a layer without stride whose pixels depend on `radius` pixels on either side."""
        return cls(1, radius, radius)

    @classmethod
    def of_kernel(cls, kernel: int, stride: int, padding: int) -> "ReceptiveField":
        """Of a convolution or pooling with this kernel size."""
        return cls(stride, padding, kernel - 1 - padding)

    def compose(self, following: "ReceptiveField") -> "ReceptiveField":
        """The receptive field, in the input of this feature map, of a layer that follows it."""
        return ReceptiveField(
            self.stride * following.stride,
            self.stride * following.before + self.before,
            self.stride * following.after + self.after,
        )

    def to_input(self, span: Span) -> Span:
        """The input pixels that a span of the feature map depends on."""
        return Span(self.stride * span.first - self.before, self.stride * span.last + self.after)


class PeriodicReceptiveField(NamedTuple):
    """The receptive field of a network with pooling or strides, which repeats with a period along the input.

    For every k, the output of the input pixels k·period … (k+1)·period − 1 depends on the input pixels
    k·period − before … (k+1)·period − 1 + after.

    >>> PeriodicReceptiveField(period=4, before=3, after=3).period
    4
    """

    period: int
    before: int
    after: int
