"""From features to a picture, growing on the way where the network works on the input grid."""

from collections.abc import Sequence
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn

from upnet.blocks.base import same_padding
from upnet.models.wiring import UpsamplerFactory, admit
from upnet.site import Site
from upnet.upsample import Upsampler
from upnet.utils.receptive_field import Span, known
from upnet.utils.seeding import apart


class Tail(nn.Module):
    """(N, channels, h, w) -> (N, out_channels, scale·h, scale·w).

    straight:    whether the operator itself goes to the picture's channels, as in FSRCNN and ESPCN; otherwise it keeps
                 the channels and a convolution follows, as in EDSR.
    steps:       `primes` grows by the prime factors of the scale one after the other, ×4 as ×2 and ×2, all by the same
                 operator; `single` grows at once.
    kernel_size: of the convolution to the picture, odd.

    Raises ValueError for an even kernel_size, and for an operator that needs what an encoder stage would leave.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        scale: int,
        upsampler: UpsamplerFactory | None,
        straight: bool = False,
        steps: Literal["primes", "single"] = "primes",
        kernel_size: Annotated[int, Ge(1)] = 3,
    ) -> None:
        super().__init__()
        factors = [] if scale == 1 else [scale] if steps == "single" else prime_factors(scale)
        straight = straight and scale > 1
        padding = same_padding(kernel_size, "Tail")
        operators: list[Upsampler] = []
        for step, factor in enumerate(factors, 1):
            assert upsampler is not None
            to_picture = {"out_channels": out_channels} if straight and step == len(factors) else {}
            with apart(f"upsampler {step}"):
                operator = upsampler(channels=channels, scale=factor, **to_picture)
            cure = "the tail has no pooling partner; set model.input=interpolated, where every growth has one"
            operators.append(admit(operator, "the tail", frozenset(), cure))
        self.upsamplers = nn.ModuleList(operators)
        with apart("output"):
            self.output = nn.Identity() if straight else nn.Conv2d(channels, out_channels, kernel_size, padding=padding)
        self._reach = 0 if straight else padding

    def source(self, span: Span) -> Span:
        """The features that a span of output pixels is made of. Raises UnknownReachError where it is unknown."""
        span = span.widened(self._reach)
        for upsampler in reversed(self.upsamplers):
            assert isinstance(upsampler, Upsampler)
            span = span.before_growth(int(upsampler.scale), known(upsampler))
        return span

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, out_channels, scale·h, scale·w)."""
        for upsampler in self.upsamplers:
            assert isinstance(upsampler, Upsampler)
            size = upsampler.output_size(x.shape[-2], x.shape[-1])
            x = upsampler(x, Site(size=size))
        return self.output(x)


def prime_factors(number: int) -> Sequence[int]:
    """The prime factors of a whole number from 2 on, smallest first: 12 -> 2, 2, 3."""
    for factor in range(2, number + 1):
        if number % factor == 0:
            return [factor, *prime_factors(number // factor)]
    return []
