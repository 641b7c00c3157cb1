"""Sub-pixel convolution: s·s output phases as channels, then interleaved."""

from typing import Literal

import torch
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.bilinear_init import mixing, phases
from upnet.upsample.kernels.memory_format import shuffled


class PixelShuffle(Upsampler):
    """A convolution to O·s² channels, then the shuffle (N, O·s², h, w) -> (N, O, s·h, s·w).

    kernel_size: of the convolution, odd. k × k on the input grid is the support of a transposed convolution of k·s.
    init:        `icnr` starts as nearest(conv(x)): all s² siblings of an output channel share one kernel and one bias,
                 so that no checkerboard is there to be unlearnt; `plain` draws each of them on its own; `bilinear`
                 starts as bilinear interpolation, exact but for the outermost ⌊s/2⌋ output pixels, which the zeros
                 beyond the border darken, and where O differs from C, of channels mixed at random.

    Raises ValueError for an even kernel_size, whose centre would lie between pixels, and with init=bilinear for 1.

    Sources: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network", https://arxiv.org/abs/1609.05158; Aitken et al., "Checkerboard artifact free sub-pixel
    convolution", https://arxiv.org/abs/1707.02937
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
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"PixelShuffle: kernel_size must be odd to be centred: 1, 3, 5, …; got {kernel_size}")
        if init not in ("icnr", "plain", "bilinear"):
            raise ValueError(f"PixelShuffle: init is 'icnr', 'plain' or 'bilinear'; got {init!r}")
        self.init = init
        siblings = int(self.scale) ** 2
        mixed = mixing(channels, self.out_channels) if init == "bilinear" else None
        self.conv = nn.Conv2d(channels, self.out_channels * siblings, kernel_size, padding=kernel_size // 2)
        if mixed is not None:
            self._interpolate(mixed)
        elif init == "icnr":
            self._copy_to_siblings(siblings)

    @property
    def initial_equivalent(self) -> str | None:
        """As what `init` says; with `icnr` the convolution is the map in front."""
        return {"icnr": "nearest", "bilinear": "bilinear"}.get(self.init)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return shuffled(self.conv(x), int(self.scale))

    def input_support(self, output: int) -> range:
        """Those under the kernel, centred on the pixel it lies in."""
        own, half = output // int(self.scale), self.conv.kernel_size[0] // 2
        return range(own - half, own + half + 1)

    @torch.no_grad()
    def _interpolate(self, mixed: Tensor) -> None:
        axis = phases(self.conv.kernel_size[0], int(self.scale)).to(mixed)
        assert self.conv.bias is not None
        # Output channel o·s² + r·s + c is phase (r, c) of o.
        self.conv.weight.copy_(torch.einsum("oi,rj,ck->orcijk", mixed, axis, axis).flatten(0, 2))
        self.conv.bias.zero_()

    @torch.no_grad()
    def _copy_to_siblings(self, phases: int) -> None:
        # Output channel c of the shuffle is made of channels c·s² … c·s² + s² − 1: the first of them speaks for all.
        for parameter in self.conv.parameters():
            parameter.copy_(parameter[::phases].repeat_interleave(phases, dim=0))
