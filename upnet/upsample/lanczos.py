"""Lanczos interpolation: a windowed sinc kernel."""

import torch
from torch import Tensor

from upnet.upsample.kernels.separable import Separable
from upnet.utils.errors import UserError
from upnet.utils.interpolation_kernels import lanczos


class Lanczos(Separable):
    r"""Weighted sum of the nearest input pixels, 2·lobes along each axis, with a windowed sinc kernel.

    .. math:: y[o] = \frac{\sum_n k(u_1 - n_1) \, k(u_2 - n_2) \, x[n]}{\sum_n k(u_1 - n_1) \, k(u_2 - n_2)}
    .. math:: u = \frac{o + 1/2}{s} - \frac{1}{2}
    .. math::
        k(t) = \begin{cases}
        \frac{\sin \pi t}{\pi t} \cdot \frac{\sin (\pi t / \text{lobes})}{\pi t / \text{lobes}} & |t| < \text{lobes} \\
        0 & \text{otherwise}
        \end{cases}

    (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋) on the half-pixel grid, border `replicate`. The weights of each output pixel
    are divided by their sum, so that a constant stays constant. Of the usual kernels this is the sharpest; it rings at
    edges. Pillow's LANCZOS and the baseline `lanczos` use lobes=3 and the border `renormalize`.

    lobes: an integer from 1 to 64, usually 3; 2 is blurrier and rings less.

    Raises UserError for other numbers of lobes.

    Source: Duchon, "Lanczos Filtering in One and Two Dimensions",
    https://doi.org/10.1175/1520-0450(1979)018%3C1016:LFIOAT%3E2.0.CO;2

    >>> Lanczos(channels=1, scale=2, lobes=2).support_size
    16
    """

    def __init__(self, channels: int, scale: float, out_channels: int | None = None, lobes: int = 3) -> None:
        super().__init__(channels, scale, out_channels)
        if not 1 <= lobes <= 64 or lobes != int(lobes):
            raise UserError(
                "is out of range for Lanczos",
                setting="lobes",
                value=lobes,
                allowed="an integer from 1 to 64, usually 2 or 3",
            )
        self.support = int(lobes)

    def kernel(self, distance: Tensor) -> Tensor:
        """The windowed sinc, divided by the sum of the 2·lobes weights of the output pixel at this distance."""
        # The other pixels of the same output lie at integer distances from this one.
        first = distance - distance.floor() - self.support
        total = torch.zeros_like(distance)
        for pixel in range(2 * self.support):
            total = total + lanczos(first + pixel, self.support)
        return lanczos(distance, self.support) / total

    def extra_repr(self) -> str:
        """The sizes and the number of lobes."""
        return f"{super().extra_repr()}, lobes={self.support}"
