"""The interpolation of an image, by name."""

from typing import Literal

from upnet.upsample.base import Upsampler
from upnet.upsample.bicubic import Bicubic
from upnet.upsample.bilinear import Bilinear
from upnet.upsample.nearest import Nearest
from upnet.utils.errors import UserError, join_or

Interpolation = Literal["bicubic", "bilinear", "nearest"]

_OPERATORS: dict[str, type[Upsampler]] = {"bicubic": Bicubic, "bilinear": Bilinear, "nearest": Nearest}


def build_interpolation(name: Interpolation, channels: int, scale: float) -> Upsampler:
    """The interpolation of that name for an image of `channels` channels; bicubic is Keys' kernel with a = −0.5.

    Raises UserError for an unknown name.

    >>> build_interpolation("bicubic", channels=3, scale=2)
    Bicubic(
      channels=3, scale=2, out_channels=3, kernel=keys, a=-0.5
      (projection): Identity()
    )
    """
    if name not in _OPERATORS:
        raise UserError("is not an interpolation", setting="interpolation", value=name, allowed=join_or(_OPERATORS))
    return _OPERATORS[name](channels, scale)
