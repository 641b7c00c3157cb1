"""Matrices with few entries, each in the form in which a device multiplies by it at the speed of memory."""

from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.upsample.kernels.memory_format import folded, on_cpu, unfolded

# How many values of lines are worked on at a time: they stay in a cache while the blocks pass over them.
CACHED = 1 << 21


class Matrix(Protocol):
    """Something linear, (outputs, inputs)."""

    def times(self, x: Tensor) -> Tensor:
        """The product with x; no gradient."""
        ...


def product(matrix: Matrix, transposed: Matrix, x: Tensor) -> Tensor:
    """matrix.times(x) with its exact gradient, which is the product with the transposed matrix, and so on."""
    out = _Product.apply(x, matrix, transposed)
    assert isinstance(out, Tensor)
    return out


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, matrix: Matrix, transposed: Matrix) -> Tensor:
        return matrix.times(x.contiguous())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Matrix, Matrix], output: Tensor) -> None:
        _, ctx.matrix, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return product(ctx.transposed, ctx.matrix, gradients[0]), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> tuple[Tensor, int]:
        x, matrix, transposed = args
        return unfolded(product(matrix, transposed, folded(x, in_dims[0], info.batch_size)), info.batch_size)


class Taps(NamedTuple):
    """Which inputs every output is made of, and how much of each, where an input is a run of values in memory.

    starts:  (outputs + 1,) int32, where the taps of each output begin, and their number at the end.
    places:  (taps,) int32, the input of each tap.
    weights: (taps,), how much of it.
    inputs:  how many inputs there are.
    """

    starts: Tensor
    places: Tensor
    weights: Tensor
    inputs: int

    @classmethod
    def of(cls, places: Tensor, weights: Tensor, inputs: int) -> "Taps":
        """From as many taps for every output: two (outputs, k), the first of whole numbers."""
        outputs, each = places.shape
        starts = torch.arange(0, outputs * each + 1, each, dtype=torch.int32)
        return cls(starts, places.flatten().int(), weights.flatten(), inputs)

    def transposed(self) -> "Taps":
        """The transposed matrix; the taps of each input come in the order of the outputs."""
        outputs = len(self.starts) - 1
        owners = torch.arange(outputs).repeat_interleave(self.starts.diff(), output_size=len(self.places))
        order = self.places.argsort(stable=True)
        counts = torch.zeros(self.inputs + 1, dtype=torch.int64)
        counts.index_add_(0, self.places.long() + 1, torch.ones_like(owners))
        return Taps(counts.cumsum(0).int(), owners[order].int(), self.weights[order], outputs)

    def times(self, x: Tensor) -> Tensor:
        """Weighted sums of the runs of each item of a batch: (B, inputs, D) -> (B, outputs, D).

        An embedding bag is just this, a weighted sum of rows of a table, and torch's kernel for it reads every row
        where it lies, adds up in float32 or wider, and writes each output once.
        """
        batch, taps = x.shape[0], len(self.places)
        kind = torch.int32 if batch * max(taps, self.inputs) < 2**31 else torch.int64
        item = torch.arange(batch, dtype=kind)[:, None]
        starts = (self.starts[:-1] + item * taps).flatten()
        bags = F.embedding_bag(
            (self.places + item * self.inputs).flatten(),
            x.flatten(0, 1),
            F.pad(starts, (0, 1), value=batch * taps),
            mode="sum",
            per_sample_weights=self.weights.repeat(batch),
            include_last_offset=True,
        )
        return bags.unflatten(0, (batch, -1))


class Band(NamedTuple):
    """A block of a matrix, transposed: all that the outputs from `first` on are made of, inputs from `start` on."""

    first: int
    start: int
    block: Tensor  # (inputs, outputs)


class Bands(NamedTuple):
    """A matrix with all entries near its diagonal, where inputs are neighbours in memory.

    bands: blocks of outputs that follow each other.
    """

    bands: tuple[Band, ...]

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return sum(band.block.shape[1] for band in self.bands)

    def times(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs), each block of outputs as a matrix product with the inputs it is made of."""
        lines = x.flatten(0, -2)
        out = lines.new_empty(len(lines), self.outputs)
        # A few lines at a time stay in a CPU's cache; elsewhere every product is as large as it can be.
        some = max(1, CACHED // (x.shape[-1] + self.outputs)) if on_cpu(x) else max(1, len(lines))
        for few, into in zip(lines.split(some), out.split(some), strict=True):
            for first, start, block in self.bands:
                inputs, width = block.shape
                torch.mm(few[:, start : start + inputs], block, out=into[:, first : first + width])
        return out.unflatten(0, x.shape[:-1])


class RunBands(NamedTuple):
    """The same matrix where an input is a run of values in memory."""

    bands: Bands

    def times(self, x: Tensor) -> Tensor:
        """(B, inputs, D) -> (B, outputs, D), each block of outputs as one batched matrix product."""
        out = x.new_empty(len(x), self.bands.outputs, x.shape[2])
        for first, start, block in self.bands.bands:
            inputs, width = block.shape
            rows = block.T.expand(len(x), -1, -1)
            torch.bmm(rows, x[:, start : start + inputs], out=out[:, first : first + width])
        return out
