"""Transposed convolution: every value stamps the kernel onto the output, s pixels apart, and overlaps add up.

Three views show what it is: an ordinary convolution of the input with zeros in between, a matrix product, and s·s
small convolutions side by side.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import mixing, stamp
from upnet.upsample.kernels.memory_format import zeros_like
from upnet.upsample.kernels.transposed_conv import TransposedConv


class Transposed(Upsampler):
    """The transpose of a strided convolution: (N, C, h, w) -> (N, O, s·h, s·w).

    kernel_size: k on the output grid. None takes 3·s: odd with odd s and even with even s, so nothing is shifted; a
                 multiple of s, so every output pixel is made of equally many inputs; and the support of a 3×3
                 sub-pixel convolution, with which it shares every function it can express.
    init:        `plain` draws the weights so that the output varies as a convolution's does; `bilinear` starts as
                 bilinear interpolation, exact but for the outermost ⌊s/2⌋ output pixels, which the zeros beyond the
                 border darken. Where O differs from C, of channels mixed at random.

    The padding is p = ⌈(k − s)/2⌉ and the output padding what is left over: the output is s·h × s·w exactly, centred
    where k and s are both odd or both even and half an output pixel to the upper left otherwise.

    Raises ValueError for a kernel smaller than the scale, which would leave output pixels that nothing reaches, for an
    even kernel with scale 1, which no padding centres, and with init=bilinear for a kernel below 2·s − s%2.

    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", https://arxiv.org/abs/1603.07285
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
        if k < s:
            raise ValueError(
                f"Transposed: kernel_size must reach scale, or some output pixels are never written; "
                f"got kernel_size={k}, scale={s}"
            )
        if s == 1 and k % 2 == 0:
            raise ValueError(f"Transposed: with scale 1 kernel_size must be odd, or no padding keeps the size; got {k}")
        if init not in ("plain", "bilinear"):
            raise ValueError(f"Transposed: init is 'plain' or 'bilinear'; got {init!r}")
        self.init = init
        mixed = mixing(channels, self.out_channels) if init == "bilinear" else None
        self.conv = TransposedConv(channels, self.out_channels, (k, k), (s, s))
        if mixed is None:
            self._draw()
        else:
            self._interpolate(mixed, stamp(k, s, int(self.conv.padding[0])))

    @property
    def initial_equivalent(self) -> str | None:
        """As what `init` says."""
        return "bilinear" if self.init == "bilinear" else None

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return self.conv(x)

    def zero_inserted(self, x: Tensor) -> Tensor:
        """The first view's input: s − 1 zeros between neighbours and the frame an ordinary convolution needs.

        (N, C, h, w) -> (N, C, s·h + k − 1, s·w + k − 1); `F.conv2d` with `ordinary_weight` makes the output of it.
        """
        s, k, padding = self.conv.stride[0], self.conv.kernel_size[0], int(self.conv.padding[0])
        between = zeros_like(x, s * (x.shape[-2] - 1) + 1, s * (x.shape[-1] - 1) + 1)
        between[..., ::s, ::s] = x
        before, after = k - 1 - padding, k - 1 - padding + self.conv.output_padding[0]
        return F.pad(between, (before, after, before, after))

    def ordinary_weight(self) -> Tensor:
        """(O, C, k, k): the weight of the ordinary convolution on the zero-inserted input, flipped in both axes.

        With scale 1 no zero is inserted, and it is the ordinary convolution that this operator equals.
        """
        return self.conv.weight.flip(2, 3).transpose(0, 1)

    def matrix(self, height: int, width: int) -> Tensor:
        """The second view: Cᵀ, (O·s·h·s·w, C·h·w), whose product with the flattened input is the flattened output.

        C is the matrix of the convolution with the same kernel, stride and padding that goes the other way. The bias
        is added after the product, one value per output channel.
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
        """k²·C·O for every input pixel, whichever way it is computed."""
        return self.conv.weight.numel() * height * width

    def input_support(self, output: int) -> range:
        """Those n with 0 ≤ o − s·n + p < k."""
        s, k, padding = self.conv.stride[0], self.conv.kernel_size[0], int(self.conv.padding[0])
        return range(-((k - 1 - output - padding) // s), (output + padding) // s + 1)

    def extra_repr(self) -> str:
        """Nothing: the convolution inside tells it all."""
        return ""

    @torch.no_grad()
    def _draw(self) -> None:
        # An output pixel is made of k²C/s² products, not of the O·k² that torch's default for this layer assumes:
        # drawn so, the output varies as that of any convolution, whatever the stride.
        taps = self.channels * (self.conv.kernel_size[0] / self.conv.stride[0]) ** 2
        bound = taps**-0.5
        for parameter in self.conv.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @torch.no_grad()
    def _interpolate(self, mixed: Tensor, kernel: Tensor) -> None:
        assert self.conv.bias is not None
        self.conv.weight.copy_(mixed.T[:, :, None, None] * torch.outer(kernel, kernel).to(mixed))
        self.conv.bias.zero_()
