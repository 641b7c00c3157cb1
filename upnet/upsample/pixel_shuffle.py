"""Sub-pixel convolution: s·s output phases as channels, then interleaved."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upnet.site import Site
from upnet.upsample.base import Upsampler


class PixelShuffle(Upsampler):
    """A convolution to O·s² channels, then the shuffle (N, O·s², h, w) -> (N, O, s·h, s·w).

    kernel_size: of the convolution, odd. k × k on the input grid is the support of a transposed convolution of k·s.
    init:        `icnr` starts as nearest(conv(x)): all s² siblings of an output channel share one kernel and one bias,
                 so that no checkerboard is there to be unlearnt; `plain` draws each of them on its own.

    Raises ValueError for an even kernel_size, whose centre would lie between pixels.

    Sources: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network", https://arxiv.org/abs/1609.05158; Aitken et al., "Checkerboard artifact free sub-pixel
    convolution", https://arxiv.org/abs/1707.02937
    """

    projects = True

    def __init__(
        self,
        channels: int,
        scale: float,
        out_channels: int | None = None,
        kernel_size: int = 3,
        init: Literal["icnr", "plain"] = "icnr",
    ) -> None:
        super().__init__(channels, scale, out_channels)
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"PixelShuffle: kernel_size must be odd to be centred: 1, 3, 5, …; got {kernel_size}")
        if init not in ("icnr", "plain"):
            raise ValueError(f"PixelShuffle: init is 'icnr' or 'plain'; got {init!r}")
        phases = int(self.scale) ** 2
        self.conv = nn.Conv2d(channels, self.out_channels * phases, kernel_size, padding=kernel_size // 2)
        if init == "icnr":
            self._copy_to_siblings(phases)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, O, s·h, s·w)."""
        return F.pixel_shuffle(self.conv(x), int(self.scale))

    @torch.no_grad()
    def _copy_to_siblings(self, phases: int) -> None:
        # Output channel c of the shuffle is made of channels c·s² … c·s² + s² − 1: the first of them speaks for all.
        for parameter in self.conv.parameters():
            parameter.copy_(parameter[::phases].repeat_interleave(phases, dim=0))
