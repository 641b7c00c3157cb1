"""DCT zero padding: the picture's own cosines, drawn on a finer grid; nothing is added to its spectrum."""

import math

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.autocast import uncast
from upnet.upsample.kernels.cache import Cache
from upnet.upsample.kernels.memory_format import in_format_of
from upnet.utils.device import float64_device


class DCT(Upsampler):
    """The sum of cosines through all input pixels, at the output's places: (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋).

    For a whole s this is the orthonormal DCT-II of the input, zeros behind its spectrum, and the inverse DCT of the
    larger size, times s for the two axes. The cosines continue the picture by its mirror image, so that no border
    jumps; an edge rings through the whole picture all the same. Every output pixel is made of all input pixels: two
    dense matrix products, whose cost grows with the third power of the picture's side.

    Source: Dugad & Ahuja, "A fast scheme for image size change in the compressed domain",
    https://doi.org/10.1109/76.915353
    """

    fractional = True

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__(channels, scale, out_channels)
        # As large as the image: those of two sizes at most, of a training's patches and of its validation images.
        self._matrices: Cache[Tensor] = Cache(entries=4)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        rows, cols = (self._matrix(length, x) for length in x.shape[-2:])
        # Sums over whole rows are of the type of x, whatever matrix products are cast to around here.
        with uncast(x):
            grown = rows @ x.contiguous() @ cols.T
        return in_format_of(x, grown)

    def matrix(self, length: int, device: torch.device | None = None) -> Tensor:
        """(⌊s·length⌋, length) float64: one axis of the operator, each row an output pixel's weights, summing to 1."""
        grown, _ = self.output_size(length, length)
        device = None if device is None else float64_device(device)
        frequencies = torch.arange(length, dtype=torch.float64, device=device) * (math.pi / length)
        places = torch.arange(length, dtype=torch.float64, device=device) + 0.5
        finer = (torch.arange(grown, dtype=torch.float64, device=device) + 0.5) / self.scale
        analysis = torch.cos(torch.outer(frequencies, places)) * (2 / length)
        synthesis = torch.cos(torch.outer(finer, frequencies))
        # The mean has one cosine where every other frequency has two.
        return synthesis @ analysis - 1 / length

    def multiply_adds(self, height: int, width: int) -> int:
        """As many as there are rows, then columns, for every value of the two passes, rows first."""
        tall, wide = self.output_size(height, width)
        return self.out_channels * (height * tall * width + width * tall * wide)

    def _matrix(self, length: int, like: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Made where it is used: what a compiled graph keeps may be overwritten when it runs again.
            return self.matrix(length, like.device).to(like.device, like.dtype)
        key = (length, like.dtype, like.device)
        return self._matrices.get(key, lambda: self.matrix(length, like.device).to(like.device, like.dtype))
