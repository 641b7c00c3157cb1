"""Whatever is looked at, as something that enlarges planes: a network, an operator, or any other method.

Shape legend: h, w LR pixels; s scale; P period in output pixels.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from upnet.evaluation.scoring import Method, network_method
from upnet.imaging.colour import luma
from upnet.inference.tiling import Tiling
from upnet.models import EncoderDecoder
from upnet.upsample import Upsampler
from upnet.utils.receptive_field import UnknownReachError

# Where nothing tells how far pixels look, and the most that is kept away from borders: farther off, what a border does
# has faded, and synthetic pictures would become as large as photographs.
UNKNOWN, FARTHEST = 8, 48


@dataclass(frozen=True, slots=True)
class Subject:
    """What enlarges, and what has to be known to look at it away from the borders.

    method:    (channels, h, w) -> (channels, s·h, s·w).
    scale:     s.
    channels:  that synthetic pictures have: 1 for a plane, 3 for a grey RGB picture.
    alignment: what it does repeats every so many LR pixels; more than 1 where it pools on its way.
    reach:     how far a pixel looks, in LR pixels.
    dark, bright: the levels that synthetic pictures are made of.
    """

    method: Method
    scale: int
    channels: int = 1
    alignment: int = 1
    reach: int = UNKNOWN
    dark: float = 0.25
    bright: float = 0.75

    @classmethod
    def of_network(cls, net: EncoderDecoder, tile: Tiling = "auto") -> "Subject":
        """A network in evaluation mode, in float32 on its own device."""
        subject = cls(network_method(net, tile), net.scale, net.channels)
        try:
            margin = net.margin
        except UnknownReachError:
            return subject
        return replace(subject, alignment=margin.alignment, reach=max(margin.before, margin.after))

    @classmethod
    def of_operator(cls, operator: Upsampler) -> "Subject":
        """An operator of one channel, in the type of its parameters, or in float64 where it has none.

        Raises ValueError where it has more channels, a fractional scale, or reads what pooling left.
        """
        check(operator)
        if (operator.channels, operator.out_channels) != (1, 1):
            raise ValueError(
                f"{type(operator).__name__}: an operator is looked at one channel in, one out; got "
                f"{operator.channels} -> {operator.out_channels}; build it with channels=1"
            )

        def method(plane: Tensor) -> Tensor:
            return operator.upsample_full(plane.to(_dtype(operator))[None])[0]

        reach = UNKNOWN if operator.receptive_radius is None else operator.receptive_radius
        return cls(method, int(operator.scale), reach=reach, dark=0.0, bright=1.0)

    @property
    def period(self) -> int:
        """P, in output pixels: what it does repeats every so many."""
        return self.scale * self.alignment

    @property
    def margin(self) -> int:
        """How many LR pixels to keep away from a border, a multiple of the alignment."""
        return math.ceil(min(self.reach, FARTHEST) / self.alignment) * self.alignment

    @torch.no_grad()
    def __call__(self, plane: Tensor) -> Tensor:
        """A synthetic plane (h, w) in [0, 1] -> (s·h, s·w) float64 on the CPU; RGB comes back as its grey."""
        output = _plain(self.method(plane.expand(self.channels, -1, -1)))
        # Y of the grey picture v is 16 + 219 v of 255.
        return output[0] if self.channels == 1 else (luma(output)[0] * 255 - 16) / 219

    @torch.no_grad()
    def luma_of(self, picture: Tensor) -> Tensor:
        """Y of the enlarged picture: (3 or 1, h, w), uint8 or in [0, 1] -> (s·h, s·w) float64 on the CPU."""
        return y_plane(self.method(picture))


def y_plane(picture: Tensor) -> Tensor:
    """Y of a picture, (3 or 1, H, W), uint8 or in [0, 1] -> (H, W) float64 in [0, 1] on the CPU, not rounded.

    One channel is taken for the Y plane itself. Raises ValueError for other shapes.
    """
    if picture.ndim != 3 or picture.shape[0] not in (1, 3):
        raise ValueError(f"diagnostics: a picture must be (3, H, W) or (1, H, W); got {tuple(picture.shape)}")
    plain = _plain(picture)
    plain = plain / 255 if picture.dtype == torch.uint8 else plain
    return plain[0] if len(plain) == 1 else luma(plain)[0]


def check(operator: Upsampler) -> None:
    """Raise ValueError where an operator can't be looked at by itself."""
    name = type(operator).__name__
    if operator.requires:
        raise ValueError(
            f"{name} reads {', '.join(sorted(operator.requires))} of its site, so that by itself it does nothing; "
            "look at the network it is in"
        )
    if operator.scale != int(operator.scale):
        raise ValueError(f"{name}: only whole scales have output phases; got scale={operator.scale}")


def _dtype(operator: Upsampler) -> torch.dtype:
    return next((parameter.dtype for parameter in operator.parameters()), torch.float64)


def _plain(picture: Tensor) -> Tensor:
    return picture.detach().to(device="cpu", dtype=torch.float64)
