"""Bilinear additive: bilinear interpolation, consecutive channels added together, then a convolution."""

from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.bilinear import Bilinear
from upnet.upsample.kernels.memory_format import in_format_of
from upnet.upsample.resize_conv import ResizeConv


class BilinearAdditive(Upsampler):
    """conv(bilinear(sums of N consecutive channels)): (N, C, h, w) -> (N, O, ⌊s·h⌋, ⌊s·w⌋).

    Enlarging by 2 in each axis and adding every 4 channels leaves as many values as came in, as in the paper. That
    leaves ⌈C/N⌉ channels, where a place in a decoder keeps its C: the convolution that follows goes to the channels
    asked for. Added before they are interpolated, which gives the same and costs an N-th.

    group_size:  N; 4 in the paper. The last group has fewer channels where N doesn't divide C; with 1 nothing is added,
                 and the operator is a resize-convolution behind bilinear interpolation.
    kernel_size: of the convolution, odd.

    Raises ValueError for a group_size below 1, and for an even kernel_size.

    Source: Wojna et al., "The Devil is in the Decoder: Classification, Regression and GANs",
    https://arxiv.org/abs/1707.05847
    """

    fractional = True
    projects_channels = True
    support_argument = ("kernel_size", 1)

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        group_size: int = 4,
        kernel_size: int = 3,
    ) -> None:
        super().__init__(channels, scale, out_channels)
        if group_size < 1:
            raise ValueError(f"BilinearAdditive: group_size counts the channels of a sum, from 1 on; got {group_size}")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"BilinearAdditive: kernel_size must be odd to be centred: 1, 3, 5, …; got {kernel_size}")
        self.group_size = group_size
        sums = ceil(channels / group_size)
        self.resize = ResizeConv(sums, scale, self.out_channels, fixed=Bilinear, kernel_size=kernel_size)
        self._draw()

    def added(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, ⌈C/N⌉, h, w): the sums of consecutive channels."""
        sums = self.resize.channels
        filled = F.pad(x, (0, 0, 0, 0, 0, sums * self.group_size - self.channels))
        return filled.unflatten(1, (sums, self.group_size)).sum(dim=2)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size)."""
        grown = self.resize(self.added(x), site)
        return in_format_of(x, grown)

    def input_support(self, output: int) -> range | None:
        """Those of the resize-convolution inside."""
        return self.resize.input_support(output)

    def extra_repr(self) -> str:
        """The group beside the sizes."""
        return f"{super().extra_repr()}, group_size={self.group_size}"

    @torch.no_grad()
    def _draw(self) -> None:
        # A sum of N channels varies N times as much as one of them: drawn as for all C, the output varies as any
        # convolution's.
        bound = (self.channels * self.resize.conv.kernel_size[0] ** 2) ** -0.5
        for parameter in self.resize.conv.parameters():
            nn.init.uniform_(parameter, -bound, bound)
