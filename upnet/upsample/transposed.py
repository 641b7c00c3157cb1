"""Transposed convolution: each input value adds its kernel to the output, s pixels apart; overlaps are summed.

Three equivalent views: an ordinary convolution of the input with zeros inserted, a matrix product, and s·s small
convolutions, one for each phase of the output.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import bilinear_transposed_kernel, projection_init
from upnet.upsample.kernels.checks import check_choice, check_transposed_kernel
from upnet.upsample.kernels.memory_format import zeros_like
from upnet.upsample.kernels.transposed_conv import TransposedConv
from upnet.upsample.stages import View
from upnet.upsample.transposed_views import transposed_views


class Transposed(Upsampler):
    r"""The transpose of a strided convolution: (N, C, h, w) -> (N, O, s·h, s·w).

    .. math:: y_j[o] = b_j + \sum_i \sum_n W_{ij}[o - s \, n + p] \, x_i[n]

    Symbols: p is the padding.

    kernel_size: k on the output grid. None: 3·s. This is odd for odd s and even for even s, so that nothing is shifted;
                 a multiple of s, so that each output pixel is the sum of equally many products; and it has the
                 support of a 3×3 sub-pixel convolution, which can express the same functions.
    init:        `plain`: random weights, with the output variance of an ordinary convolution. `bilinear`: equals
                 bilinear interpolation at initialisation, except for the outermost ⌊s/2⌋ output pixels, which the zero
                 padding darkens. If O differs from C, the channels are mixed by random weights.

    The padding is p = ⌈(k − s)/2⌉, with an output padding of 2·p − (k − s). The output is s·h × s·w exactly. It is
    centred if k and s are both odd or both even, and otherwise shifted by half an output pixel to the upper left.

    Raises UserError for a kernel smaller than the scale, for an even kernel with scale 1, for another init, and with
    init=bilinear for a kernel below 2·s − s%2.

    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", https://arxiv.org/abs/1603.07285

    >>> Transposed(channels=8, scale=2).upsample_full(torch.zeros(1, 8, 5, 4)).shape
    torch.Size([1, 8, 10, 8])
    """

    projects_channels = True
    support_argument = ("kernel_size", 1)

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        kernel_size: int | None = None,
        init: Literal["plain", "bilinear"] = "plain",
    ) -> None:
        super().__init__(channels, scale, out_channels)
        s = int(self.scale)
        k = 3 * s if kernel_size is None else kernel_size
        check_transposed_kernel(self, k, s)
        check_choice(self, "init", init, ("plain", "bilinear"))
        self.init = init
        projection = projection_init(channels, self.out_channels) if init == "bilinear" else None
        self.conv = TransposedConv(channels, self.out_channels, (k, k), (s, s))
        if projection is None:
            self._initialize_plain()
        else:
            self._initialize_bilinear(projection, bilinear_transposed_kernel(k, s, int(self.conv.padding[0])))

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return self.conv(x)

    def zero_inserted(self, x: Tensor) -> Tensor:
        """First view, the input: s − 1 zeros between neighbours, and the padding that an ordinary convolution needs.

        (N, C, h, w) -> (N, C, s·h + k − 1, s·w + k − 1); `F.conv2d` of it with `ordinary_weight()` gives the output.
        """
        s, k, padding = self.conv.stride[0], self.conv.kernel_size[0], int(self.conv.padding[0])
        spaced = zeros_like(x, s * (x.shape[-2] - 1) + 1, s * (x.shape[-1] - 1) + 1)
        spaced[..., ::s, ::s] = x
        before, after = k - 1 - padding, k - 1 - padding + self.conv.output_padding[0]
        return F.pad(spaced, (before, after, before, after))

    def ordinary_weight(self) -> Tensor:
        """First view, the weight: (O, C, k, k), flipped in both axes.

        With scale 1 no zero is inserted, and the operator is an ordinary convolution with this weight.
        """
        return self.conv.weight.flip(2, 3).transpose(0, 1)

    def matrix(self, height: int, width: int) -> Tensor:
        """Second view: Cᵀ, (O·s·h·s·w, C·h·w), whose product with the flattened input is the flattened output.

        C is the matrix of the strided convolution with the same kernel and padding. The bias is added after the
        product, one value per output channel.
        """
        weight = self.conv.weight
        inputs = self.channels * height * width
        units = torch.eye(inputs, dtype=weight.dtype, device=weight.device)
        responses = F.conv_transpose2d(
            units.view(inputs, self.channels, height, width),
            weight,
            stride=self.conv.stride,
            padding=int(self.conv.padding[0]),
            output_padding=self.conv.output_padding,
        )
        return responses.flatten(1).T

    def multiply_adds(self, height: int, width: int) -> int:
        """k²·C·O per input pixel, by whichever view it is computed."""
        return self.conv.weight.numel() * height * width

    def views(self, x: Tensor) -> list[View]:
        """The three views."""
        return transposed_views(self, x)

    def input_support(self, output: int) -> range:
        """All n with 0 ≤ o − s·n + p < k."""
        return self.conv.input_support(output)

    def extra_repr(self) -> str:
        """Empty: the convolution inside shows the sizes."""
        return ""

    @torch.no_grad()
    def _initialize_plain(self) -> None:
        # An output pixel is the sum of k²C/s² products, not of the O·k² that PyTorch's default for this layer assumes.
        # With this bound its variance is that of an ordinary convolution, whatever the stride.
        products = self.channels * (self.conv.kernel_size[0] / self.conv.stride[0]) ** 2
        bound = products**-0.5
        for parameter in self.conv.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @torch.no_grad()
    def _initialize_bilinear(self, projection: Tensor, kernel: Tensor) -> None:
        assert self.conv.bias is not None
        self.conv.weight.copy_(projection.T[:, :, None, None] * torch.outer(kernel, kernel).to(projection))
        self.conv.bias.zero_()
