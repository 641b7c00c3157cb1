"""DCT zero padding: the cosine series of the whole image, evaluated on the output grid."""

import math

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.autocast import no_autocast
from upnet.upsample.kernels.cache import Cache
from upnet.upsample.kernels.memory_format import match_memory_format
from upnet.utils.device import float64_device


class DCT(Upsampler):
    r"""The sum of cosines through all input pixels, at the output positions: (N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋).

    .. math:: y[o] = \sum_n A_h[o_1, n_1] \, A_w[o_2, n_2] \, x[n]
    .. math::
        A_L[o, n] = \frac{1}{L} \left( 1 + 2 \sum_{k=1}^{L-1}
        \cos \frac{\pi k (o + 1/2)}{s L} \cos \frac{\pi k (n + 1/2)}{L} \right)

    Symbols: A_L is the matrix for an axis of L pixels; h, w are the height and the width of the input; k is a
    frequency.

    For an integer s this is the orthonormal DCT-II of the input, padded with zeros, and the inverse DCT of the larger
    size, times s for the two axes. It extends the image by its mirror image, so that there is no jump at the border,
    but edges ring through the whole image. Each output pixel depends on all input pixels: two dense matrix products,
    whose cost grows with the third power of the side of the image.

    Source: Dugad & Ahuja, "A fast scheme for image size change in the compressed domain",
    https://doi.org/10.1109/76.915353

    >>> DCT(channels=3, scale=1.5).upsample_full(torch.ones(1, 3, 8, 6)).shape
    torch.Size([1, 3, 12, 9])
    """

    fractional = True

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__(channels, scale, out_channels)
        # The matrices are as large as images. Four suffice for two sizes: training patches and validation images.
        self._matrices: Cache[Tensor] = Cache(entries=4)

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        rows, cols = (self._matrix(length, x) for length in x.shape[-2:])
        # Sums over whole rows need the precision of x, so autocast must not lower it.
        with no_autocast(x):
            out = rows @ x.contiguous() @ cols.T
        return match_memory_format(x, out)

    def matrix(self, length: int, device: torch.device | None = None) -> Tensor:
        """(⌊s·length⌋, length) float64: the operator along one axis; each row sums to 1."""
        outputs, _ = self.output_size(length, length)
        device = None if device is None else float64_device(device)
        frequencies = torch.arange(length, dtype=torch.float64, device=device) * (math.pi / length)
        input_positions = torch.arange(length, dtype=torch.float64, device=device) + 0.5
        output_positions = (torch.arange(outputs, dtype=torch.float64, device=device) + 0.5) / self.scale
        analysis = torch.cos(torch.outer(frequencies, input_positions)) * (2 / length)
        synthesis = torch.cos(torch.outer(output_positions, frequencies))
        # Frequency zero has the factor 1/length where all others have 2/length.
        return synthesis @ analysis - 1 / length

    def input_support(self, output: int) -> None:
        """Unbounded: all inputs contribute."""

    def multiply_adds(self, height: int, width: int) -> int:
        """`height` per value after the first pass, along the columns, and `width` per value after the second."""
        tall, wide = self.output_size(height, width)
        return self.out_channels * (height * tall * width + width * tall * wide)

    def _matrix(self, length: int, like: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            # Not cached: a compiled graph may overwrite a tensor that it keeps.
            return self.matrix(length, like.device).to(like.device, like.dtype)
        key = (length, like.dtype, like.device)
        return self._matrices.get(key, lambda: self.matrix(length, like.device).to(like.device, like.dtype))
