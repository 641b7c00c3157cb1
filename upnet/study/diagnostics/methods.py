"""Networks, operators and other upscaling methods under one interface for diagnostics.

Shape legend: h, w LR pixels; s scale; P period in output pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from upnet.evaluation.scoring import network_method
from upnet.imaging.colour import luma
from upnet.inference.tiling import Tiling
from upnet.models import EncoderDecoder
from upnet.upsample import Upsampler
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import UnknownReceptiveFieldError

UNKNOWN_RADIUS = 8
"""The receptive radius in LR pixels that is assumed where it is unknown."""

LARGEST_RADIUS = 48
"""The largest receptive radius in LR pixels that is used; the influence of pixels farther away is negligible."""


@dataclass(frozen=True, slots=True)
class UpscalingMethod:
    """A function that upscales images, and what is needed to examine it away from the borders.

    function:     (channels, h, w) -> (channels, s·h, s·w).
    scale:        s.
    channels:     of synthetic images: 1 for a plane, 3 for a grey RGB image.
    alignment:    the period of the method in LR pixels: 1, or more where it contains pooling.
    radius:       its receptive radius in LR pixels.
    dark, bright: the two levels of synthetic images.
    """

    function: Callable[[Tensor], Tensor]
    scale: int
    channels: int = 1
    alignment: int = 1
    radius: int = UNKNOWN_RADIUS
    dark: float = 0.25
    bright: float = 0.75

    @classmethod
    def from_network(cls, net: EncoderDecoder, tile: Tiling = "auto") -> "UpscalingMethod":
        """A network in evaluation mode, in float32 on its own device."""
        method = cls(network_method(net, tile), net.scale, net.channels)
        try:
            field = net.receptive_field
        except UnknownReceptiveFieldError:
            return method
        return replace(method, alignment=field.period, radius=max(field.before, field.after))

    @classmethod
    def from_operator(cls, operator: Upsampler) -> "UpscalingMethod":
        """An operator of one channel, in the dtype of its parameters; float64 where it has none.

        Raises UserError where it has more channels, a fractional scale, or reads encoder features.

        >>> from upnet.upsample import Nearest
        >>> UpscalingMethod.from_operator(Nearest(1, 2))(torch.ones(3, 4)).shape
        torch.Size([6, 8])
        """
        check_operator(operator)
        if (operator.channels, operator.out_channels) != (1, 1):
            raise UserError(
                f"{type(operator).__name__} has {operator.channels} input and {operator.out_channels} output channels, "
                "but this diagnostic examines operators of one channel",
                cure="Build it with channels=1",
            )

        def function(plane: Tensor) -> Tensor:
            return operator.upsample_full(plane.to(_dtype(operator))[None])[0]

        radius = UNKNOWN_RADIUS if operator.receptive_radius is None else operator.receptive_radius
        return cls(function, int(operator.scale), radius=radius, dark=0.0, bright=1.0)

    @property
    def period(self) -> int:
        """P, the period of the method in output pixels."""
        return self.scale * self.alignment

    @property
    def margin(self) -> int:
        """Number of LR pixels ignored at each border: the radius, rounded up to a multiple of the alignment."""
        return math.ceil(min(self.radius, LARGEST_RADIUS) / self.alignment) * self.alignment

    @torch.no_grad()
    def __call__(self, plane: Tensor) -> Tensor:
        """Upscale a synthetic plane: (h, w) in [0, 1] -> (s·h, s·w) float64 on the CPU. RGB output becomes grey."""
        output = _float64(self.function(plane.expand(self.channels, -1, -1)))
        # The luma of a grey value v is (16 + 219 v) / 255.
        return output[0] if self.channels == 1 else (luma(output)[0] * 255 - 16) / 219

    @torch.no_grad()
    def upscaled_luma(self, image: Tensor) -> Tensor:
        """Luma of the upscaled image: (3 or 1, h, w) uint8 or in [0, 1] -> (s·h, s·w) float64 on the CPU."""
        return luma_plane(self.function(image))


def luma_plane(image: Tensor) -> Tensor:
    """Luma of an image: (3 or 1, H, W) uint8 or in [0, 1] -> (H, W) float64 in [0, 1] on the CPU, not rounded.

    A single channel is the luma itself. Raises UserError for other shapes.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UserError(
            "an image has another shape", setting="shape", value=tuple(image.shape), allowed="(3 or 1, H, W)"
        )
    values = _float64(image)
    values = values / 255 if image.dtype == torch.uint8 else values
    return values[0] if len(values) == 1 else luma(values)[0]


def check_operator(operator: Upsampler) -> None:
    """Raise UserError where an operator can't be examined outside of a network."""
    name = type(operator).__name__
    if operator.requires:
        raise UserError(
            f"{name} reads {', '.join(sorted(operator.requires))} of its site, which exist only inside a network",
            cure="Examine a network that contains it",
        )
    if operator.scale != int(operator.scale):
        raise UserError(f"{name} has output phases only for integer scales", setting="scale", value=operator.scale)


def _dtype(operator: Upsampler) -> torch.dtype:
    return next((parameter.dtype for parameter in operator.parameters()), torch.float64)


def _float64(image: Tensor) -> Tensor:
    return image.detach().to(device="cpu", dtype=torch.float64)
