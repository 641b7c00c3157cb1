"""Decomposed transposed convolution: one transposed convolution for the rows, then another for the columns."""

from typing import Literal

import torch
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import mixing, stamp
from upnet.upsample.kernels.transposed_conv import TransposedConv


class DecomposedTransposed(Upsampler):
    """k × 1 with stride (s, 1), C -> O, then 1 × k with stride (1, s), O -> O: (N, C, h, w) -> (N, O, s·h, s·w).

    Of the kernels of a transposed convolution these are the products of a column and a row, per channel between the
    two: k·C·O + k·O² weights instead of k²·C·O. The first of the two has no bias, as the second one's phases would
    turn it into a checkerboard; nothing bends between them, so the whole is linear.

    kernel_size: k on the output grid. None takes 3·s, as `Transposed` does, with the same padding and centre.
    init:        `plain` draws the weights so that the output varies as a convolution's does; `bilinear` starts as
                 bilinear interpolation, exact but for the outermost ⌊s/2⌋ output pixels, which the zeros beyond the
                 border darken. Where O differs from C, of channels mixed at random.

    Raises ValueError for a kernel smaller than the scale, for an even kernel with scale 1, and with init=bilinear for a
    kernel below 2·s − s%2.

    Source: Wojna et al., "The Devil is in the Decoder: Classification, Regression and GANs",
    https://arxiv.org/abs/1707.05847
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
                f"DecomposedTransposed: kernel_size must reach scale, or some output pixels are never written; "
                f"got kernel_size={k}, scale={s}"
            )
        if s == 1 and k % 2 == 0:
            raise ValueError(
                f"DecomposedTransposed: with scale 1 kernel_size must be odd, or no padding keeps the size; got {k}"
            )
        if init not in ("plain", "bilinear"):
            raise ValueError(f"DecomposedTransposed: init is 'plain' or 'bilinear'; got {init!r}")
        self.init = init
        mixed = mixing(channels, self.out_channels) if init == "bilinear" else None
        self.rows = TransposedConv(channels, self.out_channels, (k, 1), (s, 1), bias=False)
        self.cols = TransposedConv(self.out_channels, self.out_channels, (1, k), (1, s))
        if mixed is None:
            self._draw()
        else:
            self._interpolate(mixed)

    @property
    def initial_equivalent(self) -> str | None:
        """As what `init` says."""
        return "bilinear" if self.init == "bilinear" else None

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return self.cols(self.rows(x))

    def input_support(self, output: int) -> range:
        """Those n with 0 ≤ o − s·n + p < k."""
        s, k, padding = self.rows.stride[0], self.rows.kernel_size[0], int(self.rows.padding[0])
        return range(-((k - 1 - output - padding) // s), (output + padding) // s + 1)

    def extra_repr(self) -> str:
        """Nothing: the convolutions inside tell it all."""
        return ""

    @torch.no_grad()
    def _draw(self) -> None:
        # Unit variance after the rows, and a third of it after the columns, as after any convolution.
        taps = self.rows.kernel_size[0] / self.rows.stride[0]
        rows, cols = (3 / (self.channels * taps)) ** 0.5, (self.out_channels * taps) ** -0.5
        nn.init.uniform_(self.rows.weight, -rows, rows)
        for parameter in self.cols.parameters():
            nn.init.uniform_(parameter, -cols, cols)

    @torch.no_grad()
    def _interpolate(self, mixed: Tensor) -> None:
        k, s, padding = self.rows.kernel_size[0], self.rows.stride[0], int(self.rows.padding[0])
        kernel = stamp(k, s, padding).float()
        assert self.cols.bias is not None
        self.rows.weight.copy_(mixed.T[:, :, None, None] * kernel[:, None])
        self.cols.weight.copy_(torch.eye(self.out_channels)[:, :, None, None] * kernel)
        self.cols.bias.zero_()
