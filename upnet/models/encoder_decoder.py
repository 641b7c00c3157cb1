"""The one network family: an encoder-decoder in which every growth is one interchangeable operator."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from annotated_types import Ge
from torch import Tensor

from upnet.encoders import BlockFactory, Encoder
from upnet.models.base import Tileable
from upnet.models.decoder import Decoder, level_names
from upnet.models.tail import Tail
from upnet.models.wiring import UpsamplerFactory, share_out
from upnet.upsample import Interpolation, Upsampler, interpolation
from upnet.upsample.kernels.autocast import uncast
from upnet.utils.receptive_field import Margin, Span, UnknownReachError, hull, known, unknown
from upnet.utils.seeding import anew

# What stands for nothing: pictures go through the network less this, so that padding with zeros pads with grey.
GREY = 0.5


class EncoderDecoder(Tileable):
    """Enlarge pictures: (N, channels, h, w) in [0, 1] -> (N, channels, scale·h, scale·w), about [0, 1], not clamped.

    scale:     how many times as large the output is, a whole number from 2 on.
    channels:  of the pictures: 3 for RGB, 1 for luma.
    encoder:   the way down; called as encoder(channels=…, block=…).
    block:     what stages are made of; called as block(in_channels=…, out_channels=…).
    upsampler: the operator of every place, or a list of one per place from the coarsest grid to the finest, the tail
               last; called as upsampler(channels=…, scale=…). None where there is no place.
    tail:      from features to the picture; called as tail(channels=…, out_channels=…, scale=…, upsampler=…).
    input:     `interpolated` enlarges the picture by bicubic first, so that every growth inside the network has a
               pooling partner; `lr` starts on the input grid, and the tail makes the last step to the output.
    skip:      whether each level of the decoder sees the features of its partner.
    residual:  which interpolation of the input is added to the output, or `none`.

    depth 0 with a tail is EDSR, FSRCNN and ESPCN; depth 0 on the interpolated grid is SRCNN; depth ≥ 1 is U-Net;
    without skips and with max-unpooling it is SegNet.

    Raises ValueError for a scale below 2, channels other than 1 and 3, and operators that can't fill their place.
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
            raise ValueError(f"EncoderDecoder: scale is a whole number from 2 on; got {scale}")
        if channels not in (1, 3):
            raise ValueError(f"EncoderDecoder: channels is 3 for RGB or 1 for luma; got {channels}")
        if input not in ("interpolated", "lr"):
            raise ValueError(f"EncoderDecoder: input is 'interpolated' or 'lr'; got {input!r}")
        self.scale, self.channels = int(scale), channels
        with anew("encoder"):
            self.encoder = encoder(channels=channels, block=block)
        if block is None and self.encoder.depth:
            raise ValueError(
                "EncoderDecoder: block is null, but the way back from an encoder with a depth is made of them"
            )

        growth = self.scale if input == "lr" else 1
        names = [*level_names(self.encoder.depth), *(["the tail"] if growth > 1 else [])]
        factories = share_out(upsampler, names)
        levels = factories[: self.encoder.depth]
        with anew("decoder"):
            self.decoder = Decoder(self.encoder, block, levels, skip) if block and levels else None
        with anew("tail"):
            self.tail = tail(
                channels=self.encoder.widths[0],
                out_channels=channels,
                scale=growth,
                upsampler=factories[-1] if growth > 1 else None,
            )
        self.entry = self._interpolation("bicubic" if input == "interpolated" else "none")
        same = input == "interpolated" and residual == "bicubic"
        self.residual = self.entry if same else self._interpolation(residual)

    def interpolated(self, lr: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the encoder is given of (N, channels, h, w) in [0, 1], and what is added to the output, if anything.

        Both less mid-grey, and interpolated to scale·h × scale·w or, of the first, as it came.
        """
        # Interpolating the picture keeps all of its bits, whatever the network in between computes in.
        with uncast(lr):
            centred = lr - GREY
            entry = centred if self.entry is None else self.entry.upsample_full(centred)
            shared = self.residual is self.entry
            base = None if self.residual is None else entry if shared else self.residual.upsample_full(centred)
        return entry, base

    def completed(self, entry: Tensor, base: Tensor | None) -> Tensor:
        """The output, of what interpolated() makes."""
        features, sites = self.encoder(entry)
        if self.decoder is not None:
            features = self.decoder(features, sites)
        picture = self.tail(features).to(entry.dtype) + GREY
        return picture if base is None else picture + base

    @property
    def margin(self) -> Margin:
        """What a tile of the picture needs around it to come out as in the whole picture, from what the parts declare.

        Raises UnknownReachError, a ValueError, where a part doesn't say how far its pixels look.
        """
        windows = self.encoder.windows
        if windows is None:
            raise UnknownReachError(unknown(type(self.encoder).__name__, "windows"))
        # The encoder's strides meet its input's first pixel again every so many of them, and so many LR pixels.
        stride = windows[-1].stride
        alignment = stride if self.entry is None else stride // math.gcd(stride, self.scale)
        tile = Span(0, self.scale * alignment - 1)
        features = self.tail.source(tile)
        source = windows[-1].source(features) if self.decoder is None else self.decoder.source(features, windows)
        if self.entry is not None:
            source = source.before_growth(self.scale, known(self.entry))
        if self.residual is not None:
            source = hull((source, tile.before_growth(self.scale, known(self.residual))))
        return Margin(alignment, before=max(0, -source.first), after=max(0, source.last - (alignment - 1)))

    def warm_start(self) -> None:
        """Take over pretrained weights where the encoder asks for some. Raises ValueError where they can't be had."""
        self.encoder.warm_start()

    def _interpolation(self, name: Interpolation | Literal["none"]) -> Upsampler | None:
        return None if name == "none" else interpolation(name, self.channels, self.scale)
