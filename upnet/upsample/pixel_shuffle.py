"""Sub-pixel convolution: a convolution to O·s² channels, then a pixel shuffle."""

from typing import Literal

import torch
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import bilinear_phase_kernels, projection_init
from upnet.upsample.kernels.checks import check_choice, check_odd
from upnet.upsample.kernels.memory_format import pixel_shuffle
from upnet.upsample.stages import Stage, titled_matrices, weight_stages


class PixelShuffle(Upsampler):
    r"""A convolution C -> O·s², then the shuffle (N, O·s², h, w) -> (N, O, s·h, s·w).

    .. math:: y_j[s \, n + r] = z_{j s^2 + r_1 s + r_2}[n], \quad z = W \ast x + b, \quad 0 \le r_1, r_2 < s

    Symbols: z is the output of the convolution; r is the phase, the row and column of an output pixel in its s × s
    block.

    kernel_size: of the convolution, odd. A k × k kernel on the input grid has the support of a transposed convolution
                 with kernel size k·s.
    init:        `icnr`: equals nearest(conv(x)) at initialisation; the s² phases of an output channel start with the
                 same weights, so that there is no checkerboard. `plain`: each phase has its own random weights.
                 `bilinear`: equals bilinear interpolation at initialisation, except for the outermost ⌊s/2⌋ output
                 pixels, which the zero padding darkens. If O differs from C, the channels are mixed by random weights.

    Raises UserError for an even kernel_size, for kernel_size=1 with init=bilinear, and for another init.

    Sources: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network", https://arxiv.org/abs/1609.05158; Aitken et al., "Checkerboard artifact free sub-pixel
    convolution", https://arxiv.org/abs/1707.02937

    >>> PixelShuffle(channels=8, scale=2, out_channels=3).conv
    Conv2d(8, 12, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """

    projects_channels = True
    support_argument = ("kernel_size", 1)

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        kernel_size: int = 3,
        init: Literal["icnr", "plain", "bilinear"] = "icnr",
    ) -> None:
        super().__init__(channels, scale, out_channels)
        check_odd(self, "kernel_size", kernel_size)
        check_choice(self, "init", init, ("icnr", "plain", "bilinear"))
        self.init = init
        phases = int(self.scale) ** 2
        projection = projection_init(channels, self.out_channels) if init == "bilinear" else None
        self.conv = nn.Conv2d(channels, self.out_channels * phases, kernel_size, padding=kernel_size // 2)
        if projection is not None:
            self._initialize_bilinear(projection)
        elif init == "icnr":
            self._initialize_icnr(phases)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return pixel_shuffle(self.conv(x), int(self.scale))

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """The kernels, and the channels to be shuffled."""
        return [*weight_stages(self.conv), Stage(titled_matrices("conv(x)", self.conv(x)[0].unbind()), computed=True)]

    def input_support(self, output: int) -> range:
        """The kernel, centred on the input pixel that the output pixel lies in."""
        centre, half = output // int(self.scale), self.conv.kernel_size[0] // 2
        return range(centre - half, centre + half + 1)

    @torch.no_grad()
    def _initialize_bilinear(self, projection: Tensor) -> None:
        axis = bilinear_phase_kernels(self.conv.kernel_size[0], int(self.scale)).to(projection)
        assert self.conv.bias is not None
        # Channel o·s² + r·s + c of the convolution is phase (r, c) of output channel o.
        self.conv.weight.copy_(torch.einsum("oi,rj,ck->orcijk", projection, axis, axis).flatten(0, 2))
        self.conv.bias.zero_()

    @torch.no_grad()
    def _initialize_icnr(self, phases: int) -> None:
        # Output channel c consists of channels c·s² … c·s² + s² − 1: all of them take the weights of the first.
        for parameter in self.conv.parameters():
            parameter.copy_(parameter[::phases].repeat_interleave(phases, dim=0))
