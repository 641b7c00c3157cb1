"""The linear upsamplers that are compared, each built of the operators in upnet.upsample."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from upnet.upsample import Bicubic, Bilinear, Nearest, PixelShuffle, ResizeConv, Transposed, Upsampler

Build = Callable[..., Upsampler]


@dataclass(frozen=True, slots=True)
class Structure:
    """A linear upsampler at any whole scale.

    name:  as the table has it; s is the scale.
    build: an operator of channels and scale, its weights as they come.
    """

    name: str
    build: Build

    def operator(self, scale: int) -> Upsampler:
        """One plane in, one plane out, in float64."""
        return self.build(channels=1, scale=scale).double()


def _transposed(kernel: Callable[[int], int]) -> Build:
    def build(channels: int, scale: int) -> Upsampler:
        return Transposed(channels, scale, kernel_size=kernel(scale))

    return build


def _shuffled(kernel: int) -> Build:
    return partial(PixelShuffle, kernel_size=kernel)


def _resized(fixed: Build, kernel: int) -> Build:
    return partial(ResizeConv, fixed=fixed, kernel_size=kernel)


STRUCTURES = (
    Structure("nearest", Nearest),
    Structure("bilinear", Bilinear),
    Structure("bicubic, a = −0.5", Bicubic),
    Structure("bicubic, a = −0.75", partial(Bicubic, a=-0.75)),
    Structure("transposed, k = s", _transposed(lambda s: s)),
    Structure("conv1 + pixel shuffle", _shuffled(1)),
    Structure("transposed, k = ⌈3s/2⌉", _transposed(lambda s: s + (s + 1) // 2)),
    Structure("transposed, k = 2s", _transposed(lambda s: 2 * s)),
    Structure("nearest + conv3", _resized(Nearest, 3)),
    Structure("nearest + conv5", _resized(Nearest, 5)),
    Structure("bilinear + conv3", _resized(Bilinear, 3)),
    Structure("bicubic, a = −0.5, + conv3", _resized(Bicubic, 3)),
    Structure("transposed, k = 3s", _transposed(lambda s: 3 * s)),
    Structure("conv3 + pixel shuffle", _shuffled(3)),
    Structure("conv5 + pixel shuffle", _shuffled(5)),
    Structure("conv9 + pixel shuffle", _shuffled(9)),
)
"""In the order of the table: the fixed interpolations, then by what they can reach."""
