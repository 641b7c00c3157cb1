"""The network family: encoder → decoder → tail, with one interchangeable upsampler wherever a feature map grows.

Shape legend: N images; C channels of the images; h, w LR pixels; s scale; (H, W) = (s·h, s·w); (H₀, W₀) the grid that
the encoder starts on: (H, W) with input=interpolated, (h, w) with input=lr.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor, nn

from upnet.encoders import BlockFactory, Encoder
from upnet.models.decoder import Decoder, level_name
from upnet.models.tail import Tail
from upnet.models.wiring import Interpolation, UpsamplerFactory, assign_upsamplers, build_interpolation
from upnet.upsample import Upsampler
from upnet.upsample.kernels.autocast import no_autocast
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import (
    PeriodicReceptiveField,
    Span,
    UnknownReceptiveFieldError,
    hull,
    require_radius,
)
from upnet.utils.seeding import fresh_rng

MID_GREY = 0.5
"""Subtracted from the images before the network, so that the zeros that convolutions pad with are grey, not black."""


class EncoderDecoder(nn.Module):
    """Upsample images: (N, C, h, w) in [0, 1] -> (N, C, s·h, s·w), about [0, 1], not clamped.

    scale:     s, an integer of at least 2.
    channels:  C: 3 for RGB, 1 for luma.
    encoder:   called as encoder(channels=…, block=…).
    block:     the block of encoder stages and decoder levels; called as block(in_channels=…, out_channels=…).
    upsampler: one upsampler for all places, or a list of one per place: the decoder levels from the coarsest grid to
               the finest, then the tail. Called as upsampler(channels=…, scale=…). None if there is no place.
    tail:      features to image; called as tail(channels=…, out_channels=…, scale=…, upsampler=…).
    input:     `interpolated`: the image is first interpolated (bicubic) to the HR grid, so that every upsampler has a
               pooling partner in the encoder. `lr`: the network starts on the LR grid and the tail upsamples to HR.
    skip:      whether each decoder level concatenates the encoder features of its grid.
    residual:  the interpolation of the input that is added to the output, or `none`.

    With depth 0 and a tail this is EDSR, FSRCNN or ESPCN; with depth 0 on the interpolated grid SRCNN; with a depth of
    at least 1 U-Net; without skips and with max-unpooling SegNet.

    Raises UserError for a scale below 2, for channels other than 1 and 3, and upsamplers that don't fit their place.

    >>> import torch
    >>> from functools import partial
    >>> from upnet.blocks import ConvBlock
    >>> from upnet.encoders import MaxPoolEncoder
    >>> from upnet.upsample import MaxUnpool
    >>> encoder = partial(MaxPoolEncoder, width=4, depth=2)
    >>> net = EncoderDecoder(scale=2, channels=3, encoder=encoder, block=ConvBlock, upsampler=MaxUnpool)
    >>> net(torch.rand(1, 3, 9, 7)).shape
    torch.Size([1, 3, 18, 14])
    """

    def __init__(
        self,
        scale: Annotated[int, Ge(2)],
        channels: Literal[1, 3],
        encoder: Callable[..., Encoder],
        block: BlockFactory | None,
        upsampler: UpsamplerFactory | Sequence[UpsamplerFactory] | None,
        tail: Callable[..., Tail] = Tail,
        input: Literal["interpolated", "lr"] = "interpolated",
        skip: bool = True,
        residual: Literal["bicubic", "bilinear", "nearest", "none"] = "bicubic",
    ) -> None:
        super().__init__()
        if scale != int(scale) or scale < 2:
            raise UserError("must be an integer of at least 2", setting="scale", value=scale, allowed="2, 3, 4, …")
        if channels not in (1, 3):
            raise UserError("must be 1 or 3", setting="channels", value=channels, allowed="3 for RGB, 1 for luma")
        if input not in ("interpolated", "lr"):
            raise UserError("is unknown", setting="input", value=input, allowed="interpolated or lr")
        self.scale, self.channels = int(scale), channels
        # The names of the RNGs determine the initial weights and never change.
        with fresh_rng("encoder"):
            self.encoder = encoder(channels=channels, block=block)
        depth = self.encoder.depth
        if block is None and depth:
            raise UserError(
                "the decoder needs a block at each of its levels",
                setting="block",
                value=None,
                cure="Set model/block=conv",
            )

        tail_scale = self.scale if input == "lr" else 1
        places = [*map(level_name, reversed(range(depth))), *(["the tail"] if tail_scale > 1 else [])]
        upsamplers = assign_upsamplers(upsampler, places)
        with fresh_rng("decoder"):
            self.decoder = Decoder(self.encoder, block, upsamplers[:depth], skip) if block and depth else None
        with fresh_rng("tail"):
            self.tail = tail(
                channels=self.encoder.widths[0],
                out_channels=channels,
                scale=tail_scale,
                upsampler=upsamplers[-1] if tail_scale > 1 else None,
            )
        self.input_interpolation = self._interpolation("bicubic" if input == "interpolated" else "none")
        shared = input == "interpolated" and residual == "bicubic"
        self.residual_interpolation = self.input_interpolation if shared else self._interpolation(residual)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, h, w) in [0, 1] -> (N, C, s·h, s·w) of the same dtype, also under autocast."""
        x, base = self.prepare(lr)  # (N, C, H₀, W₀) and (N, C, H, W)
        return self.refine(x, base)  # (N, C, H, W)

    def prepare(self, lr: Tensor) -> tuple[Tensor, Tensor | None]:
        """Interpolate the input: the input of the encoder, and the interpolated image that the output is added to.

        (N, C, h, w) in [0, 1] -> ((N, C, H₀, W₀), (N, C, H, W)), both minus 0.5; the second is None without
        `residual`.
        """
        # Interpolation keeps the precision of the image, whatever dtype autocast gives the network.
        with no_autocast(lr):
            centred = lr - MID_GREY
            x = centred if self.input_interpolation is None else self.input_interpolation.upsample_full(centred)
            if self.residual_interpolation is None:
                return x, None
            shared = self.residual_interpolation is self.input_interpolation
            return x, x if shared else self.residual_interpolation.upsample_full(centred)

    def refine(self, x: Tensor, base: Tensor | None) -> Tensor:
        """Encoder, decoder and tail on the result of prepare(): (N, C, H₀, W₀) and (N, C, H, W) -> (N, C, H, W)."""
        features, sites = self.encoder(x)  # (N, widths[-1], ⌈H₀/2ᵈ⌉, ⌈W₀/2ᵈ⌉) for depth d, and a Site per level
        if self.decoder is not None:
            features = self.decoder(features, sites)  # (N, widths[0], H₀, W₀)
        image = self.tail(features).to(x.dtype) + MID_GREY  # (N, C, H, W)
        return image if base is None else image + base

    @property
    def receptive_field(self) -> PeriodicReceptiveField:
        """The LR pixels that output pixels depend on, along one axis, from what the modules declare.

        Raises UnknownReceptiveFieldError if a module doesn't declare its receptive field.
        """
        fields = self.encoder.receptive_fields
        if fields is None:
            raise UnknownReceptiveFieldError(self.encoder, "receptive_fields")
        # The receptive fields repeat after `stride` pixels of the encoder's input, which is on the LR or the HR grid.
        stride = fields[-1].stride
        period = stride if self.input_interpolation is None else stride // math.gcd(stride, self.scale)
        output = Span(0, self.scale * period - 1)
        span = self.tail.input_span(output)
        span = fields[-1].to_input(span) if self.decoder is None else self.decoder.input_span(span, fields)
        if self.input_interpolation is not None:
            span = span.to_input(self.scale, require_radius(self.input_interpolation))
        if self.residual_interpolation is not None:
            span = hull((span, output.to_input(self.scale, require_radius(self.residual_interpolation))))
        return PeriodicReceptiveField(period, before=max(0, -span.first), after=max(0, span.last - (period - 1)))

    def load_pretrained(self) -> None:
        """Load the pretrained weights that the encoder is configured with. Raises UserError if they are unavailable."""
        self.encoder.load_pretrained()

    def _interpolation(self, name: Interpolation | Literal["none"]) -> Upsampler | None:
        return None if name == "none" else build_interpolation(name, self.channels, self.scale)
