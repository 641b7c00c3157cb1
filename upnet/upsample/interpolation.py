"""The fixed interpolations of a whole picture, by name."""

from typing import Literal

from upnet.upsample.base import Upsampler
from upnet.upsample.bicubic import Bicubic
from upnet.upsample.bilinear import Bilinear
from upnet.upsample.nearest import Nearest

Interpolation = Literal["bicubic", "bilinear", "nearest"]


def interpolation(name: Interpolation, channels: int, scale: float) -> Upsampler:
    """The operator that enlarges a picture of `channels` by `scale`; bicubic is Keys' with a = −0.5, as MATLAB's.

    Raises ValueError for an unknown name.
    """
    match name:
        case "bicubic":
            return Bicubic(channels, scale)
        case "bilinear":
            return Bilinear(channels, scale)
        case "nearest":
            return Nearest(channels, scale)
    raise ValueError(f"an interpolation is bicubic, bilinear or nearest; got {name!r}")
