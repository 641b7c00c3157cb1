"""`Separable`: interpolation by one kernel along each axis."""

from abc import abstractmethod
from math import ceil, floor

import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample.base import Upsampler
from upnet.upsample.kernels.autocast import no_autocast
from upnet.upsample.kernels.cache import Cache
from upnet.upsample.kernels.csr import BandedMatrix, BandedRowMatrix, CsrMatrix, DiagonalBlock, product
from upnet.upsample.kernels.memory_format import NARROW, is_channels_last, match_memory_format, on_cpu
from upnet.utils.interpolation_kernels import interpolation_weights

# Output pixels per block of a banded matrix: few enough that most zeros are left out, enough for a fast product. Blocks
# are larger for 16-bit types on a GPU, where products cost little.
BLOCK, LARGE_BLOCK = 64, 256
# A GPU reads fastest at multiples of 16 bytes; this many values of any dtype are such a multiple.
ALIGNMENT = 8


class Separable(Upsampler):
    """Interpolation on the half-pixel grid, u = (o + ½)/s − ½, by one kernel along each axis; border `replicate`.

    Memory and work are proportional to the image. The gradient is exact, and deterministic on every device. A CPU
    multiplies by sparse matrices or by blocks of banded ones, a GPU by blocks. The matrices of the last few sizes are
    cached. In a compiled graph it is a composition of PyTorch operations.

    >>> class Triangle(Separable):
    ...     support = 1
    ...     def kernel(self, distance):
    ...         return (1 - distance.abs()).clamp(min=0)
    >>> Triangle(channels=1, scale=2).matrix(2).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """

    fractional = True
    support: int
    """Half the number of input pixels, along one axis, of an output pixel."""

    def __init__(self, channels: int, scale: float, out_channels: int | None = None) -> None:
        super().__init__(channels, scale, out_channels)
        self._csr_matrices: Cache[tuple[CsrMatrix, CsrMatrix]] = Cache()
        self._banded_matrices: Cache[tuple[BandedMatrix, BandedMatrix]] = Cache()

    @abstractmethod
    def kernel(self, distance: Tensor) -> Tensor:
        """Weight of an input pixel at a distance in input pixels, within ±support; elementwise."""

    def expand(self, x: Tensor, site: Site) -> Tensor:
        """(N, C, h, w) -> (N, C, ⌊s·h⌋, ⌊s·w⌋)."""
        # Autocast must not lower the precision of the sums.
        with no_autocast(x):
            if torch.compiler.is_compiling():
                return self._composition(x)
            return self._on_cpu(x) if on_cpu(x) else self._on_gpu(x)

    def matrix(self, length: int) -> Tensor:
        """(⌊s·length⌋, length) float64: the operator along one axis; each row sums to 1."""
        indices, weights = self._neighbours(length)
        return torch.zeros(len(indices), length, dtype=torch.float64).scatter_add_(1, indices, weights)

    def input_support(self, output: int) -> range:
        """The 2·support nearest pixels, or 1 where the output pixel lies on an input pixel."""
        position = (output + 0.5) / self.scale - 0.5
        if abs(position - round(position)) < 1e-9:
            return range(round(position), round(position) + 1)
        first = floor(position) - (self.support - 1)
        return range(first, first + 2 * self.support)

    def multiply_adds(self, height: int, width: int) -> int:
        """2·support for each value of the two passes, rows first."""
        tall, wide = self.output_size(height, width)
        return 2 * self.support * self.out_channels * (tall * width + tall * wide)

    def _neighbours(self, length: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        """Indices and weights of the inputs of each output pixel, both (⌊s·length⌋, 2·support)."""
        outputs, _ = self.output_size(length, length)
        return interpolation_weights(self.kernel, self.support, length, outputs, self.scale, device=device)

    def _on_cpu(self, x: Tensor) -> Tensor:
        # Columns first, while there are few rows; the pass over the rows then writes the output once.
        n, c, h, w = x.shape
        if is_channels_last(x) and c >= NARROW:
            wide = product(*self._csr(w, x.dtype), x.permute(0, 2, 3, 1).reshape(n * h, w, c))
            tall = product(*self._csr(h, x.dtype), wide.view(n, h, -1))
            return tall.unflatten(2, (-1, c)).permute(0, 3, 1, 2)
        wide = product(*self._banded(w, x), x)
        tall = product(*self._csr(h, x.dtype), wide.flatten(0, 1)).unflatten(0, (n, c))
        return match_memory_format(x, tall)

    def _on_gpu(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        (rows, rows_transposed), (cols, cols_transposed) = self._banded(h, x), self._banded(w, x)
        if is_channels_last(x) and c >= NARROW:
            # Rows first, on (h, w·C), then columns on (w, C): both products read memory in order.
            lines = x.permute(0, 2, 3, 1).reshape(n, h, w * c)
            tall = product(BandedRowMatrix(rows), BandedRowMatrix(rows_transposed), lines)
            wide = product(BandedRowMatrix(cols), BandedRowMatrix(cols_transposed), tall.reshape(-1, w, c))
            return wide.reshape(n, -1, wide.shape[1], c).permute(0, 3, 1, 2)
        wide = product(cols, cols_transposed, x)
        tall = product(BandedRowMatrix(rows), BandedRowMatrix(rows_transposed), wide.flatten(0, 1)).unflatten(0, (n, c))
        return match_memory_format(x, tall)

    def _composition(self, x: Tensor) -> Tensor:
        # A compiler fuses this to one kernel per axis, forward and backward, without constants from outside the graph.
        channels_last = is_channels_last(x)
        out = x.permute(0, 2, 3, 1) if channels_last else x
        for axis in (1, 2) if channels_last else (2, 3):
            out = self._compose_axis(out, axis)
        return out.permute(0, 3, 1, 2) if channels_last else out

    def _compose_axis(self, x: Tensor, axis: int) -> Tensor:
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        if not isinstance(self.scale, int):
            indices, weights = self._neighbours(x.shape[axis], x.device)
            neighbours = values.index_select(axis, indices.flatten()).unflatten(axis, tuple(indices.shape))
            shape = [1] * axis + list(weights.shape) + [1] * (x.dim() - axis - 1)
            return (neighbours * weights.to(values.dtype).view(shape)).sum(axis + 1).to(x.dtype)
        length, margin, phases = x.shape[axis], self.support, []
        border_shape = [-1] * x.dim()
        border_shape[axis] = margin
        before = values.narrow(axis, 0, 1).expand(border_shape)
        after = values.narrow(axis, length - 1, 1).expand(border_shape)
        padded = torch.cat((before, values, after), axis)
        position = (torch.arange(self.scale, dtype=torch.float64, device=x.device) + 0.5) / self.scale - 0.5
        for phase in range(self.scale):
            first = floor((phase + 0.5) / self.scale - 0.5) - (margin - 1)
            weights = self.kernel(position[phase] - torch.arange(first, first + 2 * margin, device=x.device)).to(values)
            terms = [padded.narrow(axis, margin + first + tap, length) * weights[tap] for tap in range(2 * margin)]
            phases.append(sum(terms[1:], terms[0]))
        return torch.stack(phases, axis + 1).flatten(axis, axis + 1).to(x.dtype)

    def _csr(self, length: int, dtype: torch.dtype) -> tuple[CsrMatrix, CsrMatrix]:
        """The matrix of one axis and its transpose, for pixels that are contiguous runs of values in memory."""

        def compute() -> tuple[CsrMatrix, CsrMatrix]:
            indices, weights = self._neighbours(length)
            matrix = CsrMatrix.from_rows(indices, weights.to(dtype), length)
            return matrix, matrix.transposed()

        return self._csr_matrices.get((length, dtype), compute)

    def _banded(self, length: int, like: Tensor) -> tuple[BandedMatrix, BandedMatrix]:
        """The matrix of one axis and its transpose, for pixels that are adjacent values in memory.

        like: a tensor of the dtype and the device.
        """
        cpu = on_cpu(like)
        size = LARGE_BLOCK if like.element_size() == 2 and not cpu else BLOCK
        key = (length, like.dtype, like.device)
        return self._banded_matrices.get(key, lambda: self._build_banded(length, size, 1 if cpu else ALIGNMENT, like))

    def _build_banded(self, length: int, size: int, alignment: int, like: Tensor) -> tuple[BandedMatrix, BandedMatrix]:
        indices, weights = self._neighbours(length)

        def block(outputs: slice, inputs: slice) -> Tensor:
            width = inputs.stop - inputs.start
            columns = indices[outputs] - inputs.start
            inside = (columns >= 0) & (columns < width)
            zeros = torch.zeros(len(columns), width, dtype=weights.dtype)
            return zeros.scatter_add_(1, columns.clamp(0, width - 1), weights[outputs] * inside).to(like)

        def aligned(first: int, stop: int, length: int) -> slice:
            return slice(max(0, first // alignment * alignment), min(length, -(-stop // alignment) * alignment))

        forward, backward = [], []
        step, total, margin = ceil(size / self.scale), len(indices), self.support + 1
        for first in range(0, length, step):
            last = min(length, first + step)
            # The margin is one pixel larger than the support; what is outside the band is zero.
            outputs = slice(floor(first * self.scale), total if last == length else floor(last * self.scale))
            inputs = aligned(first - margin, last + margin, length)
            forward.append(DiagonalBlock(outputs.start, inputs.start, block(outputs, inputs).T.contiguous()))
            outputs = aligned(floor(max(0, first - margin) * self.scale), ceil((last + margin) * self.scale), total)
            backward.append(DiagonalBlock(first, outputs.start, block(outputs, slice(first, last))))
        return BandedMatrix(tuple(forward)), BandedMatrix(tuple(backward))
