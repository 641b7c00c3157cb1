"""Decomposed transposed convolution: one transposed convolution along the rows, then one along the columns."""

from typing import Literal

import torch
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import bilinear_transposed_kernel, projection_init
from upnet.upsample.kernels.checks import check_choice, check_transposed_kernel
from upnet.upsample.kernels.transposed_conv import TransposedConv
from upnet.upsample.stages import Stage, TitledMatrix, weight_stages


class DecomposedTransposed(Upsampler):
    r"""Two 1-D transposed convolutions, k × 1 and 1 × k: (N, C, h, w) -> (N, O, s·h, w) -> (N, O, s·h, s·w).

    .. math:: z_m[o_1, n_2] = \sum_i \sum_{n_1} V_{im}[o_1 - s \, n_1 + p] \, x_i[n_1, n_2]
    .. math:: y_j[o_1, o_2] = b_j + \sum_m \sum_{n_2} W_{mj}[o_2 - s \, n_2 + p] \, z_m[o_1, n_2]

    Symbols: V, W are the kernels of the two convolutions; z is the output of the first one; m is a channel of z; p is
    the padding.

    The operator is linear. Per intermediate channel, its kernel is the outer product of a column and a row:
    k·C·O + k·O² weights instead of the k²·C·O of a transposed convolution. The first convolution has no bias, since
    the second one would turn it into a checkerboard.

    kernel_size: k on the output grid. None: 3·s, as in `Transposed`, with the same padding and centre.
    init:        `plain`: random weights, with the output variance of an ordinary convolution. `bilinear`: equals
                 bilinear interpolation at initialisation, except for the outermost ⌊s/2⌋ output pixels, which the zero
                 padding darkens. If O differs from C, the channels are mixed by random weights.

    Raises UserError for a kernel smaller than the scale, for an even kernel with scale 1, for another init, and with
    init=bilinear for a kernel below 2·s − s%2.

    Source: Wojna et al., "The Devil is in the Decoder: Classification, Regression and GANs",
    https://arxiv.org/abs/1707.05847

    >>> DecomposedTransposed(channels=8, scale=2).cols.weight.shape
    torch.Size([8, 8, 1, 6])
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
        self.rows = TransposedConv(channels, self.out_channels, (k, 1), (s, 1), bias=False)
        self.cols = TransposedConv(self.out_channels, self.out_channels, (1, k), (1, s))
        if projection is None:
            self._initialize_plain()
        else:
            self._initialize_bilinear(projection)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return self.cols(self.rows(x))

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """The kernel and the result along the rows, and the kernel along the columns."""
        result = Stage([TitledMatrix("rows(x)", self.rows(x)[0, 0])], computed=True)
        return [*weight_stages(self.rows, "rows.weight"), result, *weight_stages(self.cols, "cols.weight")]

    def input_support(self, output: int) -> range:
        """All n with 0 ≤ o − s·n + p < k."""
        return self.rows.input_support(output)

    def extra_repr(self) -> str:
        """Empty: the convolutions inside show the sizes."""
        return ""

    @torch.no_grad()
    def _initialize_plain(self) -> None:
        # The rows keep unit variance; the columns give a third of it, as an ordinary convolution does.
        taps = self.rows.kernel_size[0] / self.rows.stride[0]
        rows, cols = (3 / (self.channels * taps)) ** 0.5, (self.out_channels * taps) ** -0.5
        nn.init.uniform_(self.rows.weight, -rows, rows)
        for parameter in self.cols.parameters():
            nn.init.uniform_(parameter, -cols, cols)

    @torch.no_grad()
    def _initialize_bilinear(self, projection: Tensor) -> None:
        k, s, padding = self.rows.kernel_size[0], self.rows.stride[0], int(self.rows.padding[0])
        kernel = bilinear_transposed_kernel(k, s, padding).float()
        assert self.cols.bias is not None
        self.rows.weight.copy_(projection.T[:, :, None, None] * kernel[:, None])
        self.cols.weight.copy_(torch.eye(self.out_channels)[:, :, None, None] * kernel)
        self.cols.bias.zero_()
