"""Bilinear additive upsampling: bilinear interpolation, sums of consecutive channels, then a convolution."""

from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.bilinear import Bilinear
from upnet.upsample.kernels.memory_format import match_memory_format
from upnet.upsample.resize_conv import ResizeConv
from upnet.upsample.stages import Stage
from upnet.utils.errors import UserError


class BilinearAdditive(Upsampler):
    r"""conv(bilinear(sums of G consecutive channels)): (N, C, h, w) -> (N, O, ⌊s·h⌋, ⌊s·w⌋).

    .. math:: y = W \ast B(g) + b, \quad g_i = \sum_{c = i G}^{i G + G - 1} x_c

    Symbols: B is bilinear interpolation; G is the number of channels in a group; c is an input
    channel; i is a group; g are the sums of the groups.

    With s = 2 and G = 4, as in the paper, interpolation and summation keep the number of values. The sums have ⌈C/G⌉
    channels; the convolution maps them to the O channels required. The channels are summed before the interpolation,
    which gives the same result at 1/G of the cost.

    group_size:  G, at least 1; 4 in the paper. The last group is smaller where G does not divide C. With 1 nothing is
                 summed, and the operator equals ResizeConv with bilinear interpolation.
    kernel_size: of the convolution, odd.

    Raises UserError for a group_size below 1 and for an even kernel_size.

    Source: Wojna et al., "The Devil is in the Decoder: Classification, Regression and GANs",
    https://arxiv.org/abs/1707.05847

    >>> BilinearAdditive(channels=64, scale=2).channel_sums(torch.zeros(1, 64, 5, 4)).shape
    torch.Size([1, 16, 5, 4])
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
            raise UserError(
                "BilinearAdditive needs groups of at least one channel",
                setting="group_size",
                value=group_size,
                allowed="1, 2, 3, …; 4 in the paper",
            )
        self.group_size = group_size
        groups = ceil(channels / group_size)
        self.resize = ResizeConv(groups, scale, self.out_channels, fixed=Bilinear, kernel_size=kernel_size)
        self._initialize()

    def channel_sums(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, ⌈C/G⌉, h, w): sums of G consecutive channels."""
        groups = self.resize.channels
        padded = F.pad(x, (0, 0, 0, 0, 0, groups * self.group_size - self.channels))
        return padded.unflatten(1, (groups, self.group_size)).sum(dim=2)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size)."""
        return match_memory_format(x, self.resize(self.channel_sums(x), site))

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """Those of the resize-convolution inside; with one channel, the sum is x itself."""
        return self.resize.stages(self.channel_sums(x), site)

    def input_support(self, output: int) -> range | None:
        """That of the resize-convolution inside."""
        return self.resize.input_support(output)

    def extra_repr(self) -> str:
        """The sizes and the group size."""
        return f"{super().extra_repr()}, group_size={self.group_size}"

    @torch.no_grad()
    def _initialize(self) -> None:
        # A sum of G channels has G times the variance of one channel. The bound for C input channels, not for ⌈C/G⌉,
        # therefore gives the output variance of an ordinary convolution.
        bound = (self.channels * self.resize.conv.kernel_size[0] ** 2) ** -0.5
        for parameter in self.resize.conv.parameters():
            nn.init.uniform_(parameter, -bound, bound)
