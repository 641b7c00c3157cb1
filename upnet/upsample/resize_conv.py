"""Resize-convolution: a fixed operator, then a convolution on the output grid."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import correction, mixing
from upnet.upsample.nearest import Nearest


class ResizeConv(Upsampler):
    """conv(fixed(x)): (N, C, h, w) -> (N, O, ⌊s·h⌋, ⌊s·w⌋).

    Free of checkerboards from the first step on with nearest and every smoother operator in front.

    fixed:       the operator in front, as a factory of channels and scale.
    kernel_size: of the convolution, odd.
    init:        `plain` draws the convolution as torch does; `bilinear` starts as bilinear interpolation. Behind
                 Bilinear the convolution is then the identity, and the match is exact everywhere; behind Nearest it is
                 a short blur, exact but for the outermost ⌊s/2⌋ output pixels, which the zeros beyond the border
                 darken. Where O differs from C, of channels mixed at random.

    Raises ValueError for an even kernel_size, for a scale that the fixed operator doesn't have, and for init=bilinear
    where no kernel of that size makes bilinear interpolation of what the fixed operator makes.

    Source: Odena et al., "Deconvolution and Checkerboard Artifacts", https://distill.pub/2016/deconv-checkerboard
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
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"ResizeConv: kernel_size must be odd to be centred: 1, 3, 5, …; got {kernel_size}")
        if init not in ("plain", "bilinear"):
            raise ValueError(f"ResizeConv: init is 'plain' or 'bilinear'; got {init!r}")
        self.init = init
        mixed = mixing(channels, self.out_channels) if init == "bilinear" else None
        self.fixed = fixed(channels=channels, scale=scale)
        self.requires = self.fixed.requires
        self.conv = nn.Conv2d(channels, self.out_channels, kernel_size, padding=kernel_size // 2)
        if mixed is not None:
            self._interpolate(mixed, correction(fixed(channels=1, scale=scale), kernel_size))

    @property
    def initial_equivalent(self) -> str | None:
        """As what `init` says; a convolution behind the fixed operator is no longer that operator."""
        return "bilinear" if self.init == "bilinear" else None

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size): cropped before the convolution, which then sees no row twice."""
        return self.conv(self.fixed(x, site))

    def input_support(self, output: int) -> range | None:
        """Those of the fixed operator, for every output pixel under the kernel."""
        half = self.conv.kernel_size[0] // 2
        spans = [self.fixed.input_support(place) for place in range(output - half, output + half + 1)]
        known = [span for span in spans if span]
        if None in spans or not known:
            return None if None in spans else range(0)
        return range(min(span.start for span in known), max(span.stop for span in known))

    @torch.no_grad()
    def _interpolate(self, mixed: Tensor, kernel: Tensor) -> None:
        assert self.conv.bias is not None
        self.conv.weight.copy_(mixed[:, :, None, None] * torch.outer(kernel, kernel).to(mixed))
        self.conv.bias.zero_()
