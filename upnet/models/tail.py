"""The tail of a network: features to image, with upsampling if the network works on the LR grid."""

from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn

from upnet.blocks.base import same_padding
from upnet.models.wiring import UpsamplerFactory, check_requirements
from upnet.site import Site
from upnet.upsample import Upsampler
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import Span, require_radius
from upnet.utils.seeding import named_rng


class Tail(nn.Module):
    """Upsample features and convert them to an image: (N, channels, h, w) -> (N, out_channels, scale·h, scale·w).

    project_in_upsampler: True: the last upsampler itself maps to `out_channels`, as in FSRCNN and ESPCN. False: it
                          keeps the channels and a convolution to `out_channels` follows, as in EDSR.
    upsampling:           `progressive` has one upsampler per prime factor of the scale, ×4 as ×2 and ×2;
                          `single_step` has one upsampler of the whole scale.
    kernel_size:          of the convolution to the image, odd.

    Raises UserError for an even kernel_size, and for an upsampler that reads encoder state, which a tail does not have.

    >>> import torch
    >>> from upnet.upsample import PixelShuffle
    >>> Tail(16, out_channels=3, scale=4, upsampler=PixelShuffle)(torch.rand(1, 16, 5, 6)).shape
    torch.Size([1, 3, 20, 24])
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        scale: int,
        upsampler: UpsamplerFactory | None,
        project_in_upsampler: bool = False,
        upsampling: Literal["progressive", "single_step"] = "progressive",
        kernel_size: Annotated[int, Ge(1)] = 3,
    ) -> None:
        super().__init__()
        if upsampling not in ("progressive", "single_step"):
            raise UserError("is unknown", setting="upsampling", value=upsampling, allowed="progressive or single_step")
        scales = [] if scale == 1 else [scale] if upsampling == "single_step" else prime_factors(scale)
        without_conv = project_in_upsampler and scale > 1
        padding = same_padding(kernel_size, "Tail")
        self.upsamplers = nn.ModuleList()
        for number, factor in enumerate(scales, 1):
            assert upsampler is not None
            projection = {"out_channels": out_channels} if without_conv and number == len(scales) else {}
            with named_rng(f"upsampler {number}"):
                operator = upsampler(channels=channels, scale=factor, **projection)
            cure = "Set model.input=interpolated, where every upsampler has a pooling partner in the encoder"
            check_requirements(operator, "the tail", frozenset(), cure)
            self.upsamplers.append(operator)
        with named_rng("output"):
            conv = nn.Identity() if without_conv else nn.Conv2d(channels, out_channels, kernel_size, padding=padding)
            self.output = conv
        self._conv_radius = 0 if without_conv else padding

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) -> (N, out_channels, scale·h, scale·w)."""
        for upsampler in self.upsamplers:
            assert isinstance(upsampler, Upsampler)
            x = upsampler(x, Site(size=upsampler.output_size(x.shape[-2], x.shape[-1])))
        return self.output(x)

    def input_span(self, span: Span) -> Span:
        """The features that a span of output pixels depends on.

        Raises UnknownReceptiveFieldError if an upsampler doesn't declare its receptive radius.
        """
        span = span.widened(self._conv_radius)
        for upsampler in reversed(self.upsamplers):
            assert isinstance(upsampler, Upsampler)
            span = span.to_input(int(upsampler.scale), require_radius(upsampler))
        return span


def prime_factors(number: int) -> list[int]:
    """The prime factors of an integer of at least 2, smallest first.

    >>> prime_factors(12)
    [2, 2, 3]
    """
    for factor in range(2, number + 1):
        if number % factor == 0:
            return [factor, *prime_factors(number // factor)]
    return []
