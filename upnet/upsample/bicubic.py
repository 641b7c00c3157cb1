"""Bicubic interpolation from the 4×4 nearest pixels, by Keys' kernel or by Lagrange's polynomial."""

from typing import Literal

import torch
from torch import Tensor

from upnet.upsample.kernels.separable import Separable


class Bicubic(Separable):
    """Each output pixel is made of its 4×4 nearest input pixels by one cubic kernel in each axis.

    (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋) on the half-pixel grid; borders repeat.

    kernel: `keys`, the convolution kernel with a continuous slope, which `a` steers; or `lagrange`, the polynomial with
            16 coefficients through the 16 nearest pixels, whose slope may jump.
    a:      Keys' coefficient. −0.5 is Keys' own choice, exact for quadratics, and that of MATLAB and Pillow; −0.75 is
            torch's. The choice alone is worth 0.2 to 0.3 dB. `lagrange` doesn't read it.

    Raises ValueError for an `a` outside [−1, 0]: 0 is the blurriest kernel, and below −1 it overshoots beyond use.

    Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing",
    https://doi.org/10.1109/TASSP.1981.1163711
    """

    support = 2

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        kernel: Literal["keys", "lagrange"] = "keys",
        a: float = -0.5,
    ) -> None:
        super().__init__(channels, scale, out_channels)
        if kernel not in ("keys", "lagrange"):
            raise ValueError(f"Bicubic: kernel is 'keys' or 'lagrange'; got {kernel!r}")
        if not -1 <= a <= 0:
            raise ValueError(f"Bicubic: a lies in [-1, 0], usually -0.5 or -0.75; got a={a}")
        self.polynomial = kernel
        self.a = a

    def kernel(self, distance: Tensor) -> Tensor:
        """Keys' or Lagrange's cubic, zero from ±2 on."""
        t = distance.abs()
        if self.polynomial == "lagrange":
            near = (1 - t**2) * (2 - t) / 2
            far = (1 - t) * (2 - t) * (3 - t) / 6
        else:
            near = ((self.a + 2) * t - (self.a + 3)) * t**2 + 1
            far = self.a * (((t - 5) * t + 8) * t - 4)
        return torch.where(t < 1, near, torch.where(t < 2, far, 0.0))

    def input_support(self, output: int) -> range:
        """The 4 nearest, of which a = 0 leaves the outer two out, or the pixel itself where the two grids meet."""
        pixels = super().input_support(output)
        return pixels[1:3] if len(pixels) == 4 and self.polynomial == "keys" and self.a == 0 else pixels

    def extra_repr(self) -> str:
        """The kernel beside the sizes."""
        kernel = f"keys, a={self.a}" if self.polynomial == "keys" else "lagrange"
        return f"{super().extra_repr()}, kernel={kernel}"
