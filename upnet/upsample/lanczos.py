"""Lanczos interpolation: a windowed sinc, the sharpest of the usual kernels, which may ring at edges."""

import torch
from torch import Tensor

from upnet.upsample.kernels.separable import Separable


class Lanczos(Separable):
    """Each output pixel is made of its 2n×2n nearest input pixels by sinc(t)·sinc(t/n), |t| < n, in each axis.

    (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋) on the half-pixel grid; borders repeat. The taps of every output pixel are
    divided by their sum, which is not quite 1, so that a constant stays one. Pillow's LANCZOS is n = 3 and equals this
    off the borders; there it leaves out what lies outside, where this, as the other interpolations, repeats.

    lobes: n, from 1 to 64; 3 is the usual choice, and 2 rings less.

    Raises ValueError for lobes below 1, above 64 or not whole.

    Source: Duchon, "Lanczos Filtering in One and Two Dimensions",
    https://doi.org/10.1175/1520-0450(1979)018%3C1016:LFIOAT%3E2.0.CO;2
    """

    def __init__(self, channels: int, scale: float, out_channels: int | None = None, lobes: int = 3) -> None:
        super().__init__(channels, scale, out_channels)
        if not 1 <= lobes <= 64 or lobes != int(lobes):
            raise ValueError(f"Lanczos: lobes is a whole number from 1 to 64, usually 2 or 3; got {lobes}")
        self.support = int(lobes)

    def kernel(self, distance: Tensor) -> Tensor:
        """The windowed sinc, divided by the sum of the 2n taps that go with it."""
        # The taps of one output pixel lie whole pixels apart, so that each of them knows the others.
        first = distance - distance.floor() - self.support
        total = torch.zeros_like(distance)
        for tap in range(2 * self.support):
            total = total + self._windowed(first + tap)
        return self._windowed(distance) / total

    def extra_repr(self) -> str:
        """The lobes beside the sizes."""
        return f"{super().extra_repr()}, lobes={self.support}"

    def _windowed(self, distance: Tensor) -> Tensor:
        inside = distance.abs() < self.support
        return torch.where(inside, torch.sinc(distance) * torch.sinc(distance / self.support), 0.0)
