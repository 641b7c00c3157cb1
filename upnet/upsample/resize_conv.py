"""Resize-convolution: a fixed operator, then a convolution on the output grid."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import fit_bilinear_correction, projection_init
from upnet.upsample.kernels.checks import check_choice, check_odd
from upnet.upsample.nearest import Nearest
from upnet.upsample.stages import Stage, TitledMatrix, weight_stages


class ResizeConv(Upsampler):
    r"""conv(fixed(x)): (N, C, h, w) -> (N, O, ⌊s·h⌋, ⌊s·w⌋).

    .. math:: y = W \ast F(x) + b

    Symbols: F is the fixed operator.

    After Nearest or a smoother operator, the output has no checkerboard at any step of the training.

    fixed:       the operator before the convolution, as a factory that takes channels and scale.
    kernel_size: of the convolution, odd.
    init:        `plain`: PyTorch's initialisation. `bilinear`: equals bilinear interpolation at initialisation. After
                 Bilinear the convolution then starts as the identity, and the match is exact everywhere. After Nearest
                 it starts as a short blur, and the match is exact except for the outermost ⌊s/2⌋ output pixels, which
                 the zero padding darkens. If O differs from C, the channels are mixed by random weights.

    Raises UserError for an even kernel_size, for another init, for a scale that the fixed operator does not support,
    and for init=bilinear where no convolution of that size turns the fixed operator into bilinear interpolation.

    Source: Odena et al., "Deconvolution and Checkerboard Artifacts", https://distill.pub/2016/deconv-checkerboard

    >>> from upnet.upsample import Bilinear
    >>> ResizeConv(channels=8, scale=2, fixed=Bilinear).upsample_full(torch.zeros(1, 8, 5, 4)).shape
    torch.Size([1, 8, 10, 8])
    """

    fractional = True
    projects_channels = True
    support_argument = ("kernel_size", 1)

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        fixed: Callable[..., Upsampler] = Nearest,
        kernel_size: int = 3,
        init: Literal["plain", "bilinear"] = "plain",
    ) -> None:
        super().__init__(channels, scale, out_channels)
        check_odd(self, "kernel_size", kernel_size)
        check_choice(self, "init", init, ("plain", "bilinear"))
        self.init = init
        projection = projection_init(channels, self.out_channels) if init == "bilinear" else None
        self.fixed = fixed(channels=channels, scale=scale)
        self.requires = self.fixed.requires
        self.conv = nn.Conv2d(channels, self.out_channels, kernel_size, padding=kernel_size // 2)
        if projection is not None:
            self._initialize_bilinear(projection, fit_bilinear_correction(fixed(channels=1, scale=scale), kernel_size))

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size); the fixed operator crops, so that the convolution sees the border."""
        return self.conv(self.fixed(x, site))

    def stages(self, x: Tensor, site: Site) -> list[Stage]:
        """The output of the fixed operator, and the kernel of the convolution."""
        resized = TitledMatrix("fixed(x)", self.fixed(x, site)[0, 0])
        return [Stage([resized], computed=True), *weight_stages(self.conv)]

    def input_support(self, output: int) -> range | None:
        """Those of the fixed operator for all output pixels under the kernel."""
        half = self.conv.kernel_size[0] // 2
        supports = [self.fixed.input_support(pixel) for pixel in range(output - half, output + half + 1)]
        if None in supports:
            return None
        inputs = [index for support in supports if support for index in (support.start, support.stop)]
        return range(min(inputs), max(inputs)) if inputs else range(0)

    @torch.no_grad()
    def _initialize_bilinear(self, projection: Tensor, kernel: Tensor) -> None:
        assert self.conv.bias is not None
        self.conv.weight.copy_(projection[:, :, None, None] * torch.outer(kernel, kernel).to(projection))
        self.conv.bias.zero_()
