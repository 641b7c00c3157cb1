"""Resize-convolution: a fixed operator, then a convolution on the output grid."""

from collections.abc import Callable

from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.nearest import Nearest


class ResizeConv(Upsampler):
    """conv(fixed(x)): (N, C, h, w) -> (N, O, ⌊s·h⌋, ⌊s·w⌋).

    Free of checkerboards from the first step on with nearest and every smoother operator in front.

    fixed:       the operator in front, as a factory of channels and scale.
    kernel_size: of the convolution, odd.

    Raises ValueError for an even kernel_size, and for a scale that the fixed operator doesn't have.

    Source: Odena et al., "Deconvolution and Checkerboard Artifacts", https://distill.pub/2016/deconv-checkerboard
    """

    fractional = True
    projects = True

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        fixed: Callable[..., Upsampler] = Nearest,
        kernel_size: int = 3,
    ) -> None:
        super().__init__(channels, scale, out_channels)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"ResizeConv: kernel_size must be odd to be centred: 1, 3, 5, …; got {kernel_size}")
        self.fixed = fixed(channels=channels, scale=scale)
        self.requires = self.fixed.requires
        self.conv = nn.Conv2d(channels, self.out_channels, kernel_size, padding=kernel_size // 2)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, *site.size): cropped before the convolution, which then sees no row twice."""
        return self.conv(self.fixed(x, site))
