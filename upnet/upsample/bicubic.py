"""Bicubic interpolation from the 4×4 nearest pixels, with Keys' kernel or Lagrange's polynomial."""

from typing import Literal

from torch import Tensor

from upnet.upsample.kernels.separable import Separable
from upnet.utils.errors import UserError
from upnet.utils.interpolation_kernels import keys_cubic, lagrange


class Bicubic(Separable):
    r"""Weighted sum of the 4×4 nearest input pixels, with a cubic kernel along each axis.

    .. math:: y[o] = \sum_n k(u_1 - n_1) \, k(u_2 - n_2) \, x[n]
    .. math:: u = \frac{o + 1/2}{s} - \frac{1}{2}
    .. math::
        k(t) = \begin{cases}
        (a + 2) |t|^3 - (a + 3) |t|^2 + 1 & |t| < 1 \\
        a |t|^3 - 5 a |t|^2 + 8 a |t| - 4 a & 1 \le |t| < 2 \\
        0 & \text{otherwise}
        \end{cases}

    Symbols: a is the coefficient of the kernel.

    (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋) on the half-pixel grid, border `replicate` as in PyTorch. MATLAB's `imresize`
    and the baseline `bicubic` use the same kernel with the border `symmetric`.

    kernel: `keys`, the cubic convolution kernel, whose slope is continuous; or `lagrange`, the cubic polynomial through
            the 4 nearest pixels, whose slope is not.
    a:      Keys' coefficient, in [−1, 0]. −0.5 is Keys' own choice, exact for quadratics, and that of MATLAB and
            Pillow; −0.75 is PyTorch's; 0 is the blurriest. `lagrange` does not use it.

    Raises UserError for another kernel and for `a` out of range.

    Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing",
    https://doi.org/10.1109/TASSP.1981.1163711

    >>> import torch
    >>> Bicubic(channels=3, scale=1.5).upsample_full(torch.zeros(1, 3, 8, 6)).shape
    torch.Size([1, 3, 12, 9])
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
            raise UserError("Bicubic has no such kernel", setting="kernel", value=kernel, allowed="keys or lagrange")
        if not -1 <= a <= 0:
            raise UserError(
                "is out of range for Bicubic",
                setting="a",
                value=a,
                allowed="a number in [-1, 0], usually -0.5 or -0.75",
            )
        self.kernel_name = kernel
        self.a = a

    def kernel(self, distance: Tensor) -> Tensor:
        """Keys' or Lagrange's cubic, zero from ±2 on."""
        return lagrange(distance) if self.kernel_name == "lagrange" else keys_cubic(distance, self.a)

    def input_support(self, output: int) -> range:
        """The 4 nearest pixels, 2 with a = 0, or 1 where the output pixel lies on an input pixel."""
        pixels = super().input_support(output)
        return pixels[1:3] if len(pixels) == 4 and self.kernel_name == "keys" and self.a == 0 else pixels

    def extra_repr(self) -> str:
        """The sizes and the kernel."""
        kernel = f"keys, a={self.a}" if self.kernel_name == "keys" else "lagrange"
        return f"{super().extra_repr()}, kernel={kernel}"
