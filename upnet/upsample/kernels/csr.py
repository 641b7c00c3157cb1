"""Products with sparse matrices: compressed sparse rows for CPUs, dense blocks of banded matrices for any device."""

from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.upsample.kernels.memory_format import fold_vmap, on_cpu, unfold_vmap

# Number of values that a CPU processes at a time, so that they stay in its cache for all blocks.
CHUNK = 1 << 21


class Matrix(Protocol):
    """A linear map, (outputs, inputs)."""

    def multiply(self, x: Tensor) -> Tensor:
        """The product with x, without gradient."""
        ...


def product(matrix: Matrix, transposed: Matrix, x: Tensor) -> Tensor:
    """matrix.multiply(x) with its exact gradient, the product with the transposed matrix, to any order."""
    out = _Product.apply(x, matrix, transposed)
    assert isinstance(out, Tensor)
    return out


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, matrix: Matrix, transposed: Matrix) -> Tensor:
        return matrix.multiply(x.contiguous())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Matrix, Matrix], output: Tensor) -> None:
        _, ctx.matrix, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return product(ctx.transposed, ctx.matrix, gradients[0]), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        x, matrix, transposed = args
        return unfold_vmap(product(matrix, transposed, fold_vmap(x, in_dims[0], info.batch_size)), info.batch_size)


class CsrMatrix(NamedTuple):
    """A matrix in compressed sparse row format, for inputs that are contiguous rows of D values.

    row_ptr: (outputs + 1,) int32, index of the first entry of each row; the last value is the number of entries.
    columns: (entries,) int32, column of each entry.
    values:  (entries,), value of each entry.
    inputs:  number of columns.

    >>> matrix = CsrMatrix.from_rows(torch.tensor([[0, 1], [1, 2]]), torch.full((2, 2), 0.5), inputs=3)
    >>> matrix.multiply(torch.tensor([[[0.0], [4.0], [8.0]]])).flatten().tolist()
    [2.0, 6.0]
    """

    row_ptr: Tensor
    columns: Tensor
    values: Tensor
    inputs: int

    @classmethod
    def from_rows(cls, columns: Tensor, values: Tensor, inputs: int) -> "CsrMatrix":
        """From rows of k entries each: `columns`, integers, and `values`, both (outputs, k)."""
        outputs, entries = columns.shape
        row_ptr = torch.arange(0, outputs * entries + 1, entries, dtype=torch.int32)
        return cls(row_ptr, columns.flatten().int(), values.flatten(), inputs)

    def transposed(self) -> "CsrMatrix":
        """The transposed matrix; the entries of each row are in the order of their columns."""
        outputs = len(self.row_ptr) - 1
        rows = torch.arange(outputs).repeat_interleave(self.row_ptr.diff(), output_size=len(self.columns))
        order = self.columns.argsort(stable=True)
        counts = torch.zeros(self.inputs + 1, dtype=torch.int64)
        counts.index_add_(0, self.columns.long() + 1, torch.ones_like(rows))
        return CsrMatrix(counts.cumsum(0).int(), rows[order].int(), self.values[order], outputs)

    def multiply(self, x: Tensor) -> Tensor:
        """The product for each item of a batch: (B, inputs, D) -> (B, outputs, D).

        An embedding bag is this weighted sum of rows of a table. PyTorch's kernel for it reads each row in place, sums
        in float32 or wider, and writes each output once.
        """
        batch, entries = x.shape[0], len(self.columns)
        integer = torch.int32 if batch * max(entries, self.inputs) < 2**31 else torch.int64
        item = torch.arange(batch, dtype=integer)[:, None]
        bag_starts = (self.row_ptr[:-1] + item * entries).flatten()
        out = F.embedding_bag(
            (self.columns + item * self.inputs).flatten(),
            x.flatten(0, 1),
            F.pad(bag_starts, (0, 1), value=batch * entries),
            mode="sum",
            per_sample_weights=self.values.repeat(batch),
            include_last_offset=True,
        )
        return out.unflatten(0, (batch, -1))


class DiagonalBlock(NamedTuple):
    """A block of a banded matrix: all non-zero entries of some consecutive rows.

    row:    index of the first row.
    column: index of the first column.
    block:  (columns, rows), transposed.
    """

    row: int
    column: int
    block: Tensor


class BandedMatrix(NamedTuple):
    """A matrix with all entries near its diagonal, for inputs that are adjacent values in memory.

    blocks: of consecutive rows.
    """

    blocks: tuple[DiagonalBlock, ...]

    @property
    def outputs(self) -> int:
        """Number of rows."""
        return sum(entry.block.shape[1] for entry in self.blocks)

    def multiply(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs), one matrix product per block."""
        lines = x.flatten(0, -2)
        out = lines.new_empty(len(lines), self.outputs)
        # A few lines at a time stay in a CPU's cache. On other devices each product is as large as possible.
        chunk = max(1, CHUNK // (x.shape[-1] + self.outputs)) if on_cpu(x) else max(1, len(lines))
        for x_chunk, out_chunk in zip(lines.split(chunk), out.split(chunk), strict=True):
            for row, column, block in self.blocks:
                inputs, outputs = block.shape
                torch.mm(x_chunk[:, column : column + inputs], block, out=out_chunk[:, row : row + outputs])
        return out.unflatten(0, x.shape[:-1])


class BandedRowMatrix(NamedTuple):
    """A banded matrix for inputs that are contiguous rows of D values."""

    matrix: BandedMatrix

    def multiply(self, x: Tensor) -> Tensor:
        """(B, inputs, D) -> (B, outputs, D), one batched matrix product per block."""
        out = x.new_empty(len(x), self.matrix.outputs, x.shape[2])
        for row, column, block in self.matrix.blocks:
            inputs, outputs = block.shape
            weights = block.T.expand(len(x), -1, -1)
            torch.bmm(weights, x[:, column : column + inputs], out=out[:, row : row + outputs])
        return out
