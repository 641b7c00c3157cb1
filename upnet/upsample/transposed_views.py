"""Three computations equivalent to a transposed convolution of one channel, with their intermediate results.

Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", https://arxiv.org/abs/1603.07285
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.upsample.kernels.transposed_conv import TransposedConv
from upnet.upsample.stages import Stage, TitledMatrix, View


class TransposedOperator(Protocol):
    """What the views need of `Transposed`, which documents it."""

    scale: int | float
    conv: TransposedConv

    def zero_inserted(self, x: Tensor) -> Tensor: ...
    def ordinary_weight(self) -> Tensor: ...
    def matrix(self, height: int, width: int) -> Tensor: ...
    def output_size(self, height: int, width: int) -> tuple[int, int]: ...


def transposed_views(operator: TransposedOperator, x: Tensor) -> list[View]:
    """The three views for an input x, (1, 1, h, w), of an operator of one channel.

    >>> from upnet.upsample import Transposed
    >>> [view.output.shape for view in transposed_views(Transposed(1, 2), torch.rand(1, 1, 3, 2))]
    [torch.Size([1, 1, 6, 4]), torch.Size([1, 1, 6, 4]), torch.Size([1, 1, 6, 4])]
    """
    return [_zero_insertion(operator, x), _matrix_product(operator, x), _phase_convolutions(operator, x)]


def phase_kernel(operator: TransposedOperator, row: int, col: int) -> tuple[Tensor, tuple[int, int]]:
    """The kernel that gives the output pixels s·n + (row, col) by cross-correlation with the input around n.

    Returns the kernel and the position of its upper left weight relative to n.
    """
    (rows, first_row), (cols, first_col) = _phase_weights(operator, row), _phase_weights(operator, col)
    return operator.conv.weight[0, 0][rows][:, cols], (first_row, first_col)


def interleaved_phases(operator: TransposedOperator, x: Tensor) -> Tensor:
    """The output as s·s interleaved small convolutions, with the bias: (1, 1, h, w) -> (1, 1, s·h, s·w)."""
    s = int(operator.scale)
    phases = []
    for row in range(s):
        for col in range(s):
            kernel, (top, left) = phase_kernel(operator, row, col)
            bottom, right = top + kernel.shape[0] - 1, left + kernel.shape[1] - 1
            padded = F.pad(x, (-left, right, -top, bottom))
            phases.append(F.conv2d(padded, kernel[None, None], operator.conv.bias))
    return F.pixel_shuffle(torch.cat(phases, dim=1), s)


def _zero_insertion(operator: TransposedOperator, x: Tensor) -> View:
    expanded, weight = operator.zero_inserted(x), operator.ordinary_weight()
    output = F.conv2d(expanded, weight, operator.conv.bias)
    inputs = [TitledMatrix("zero_inserted(x)", expanded[0, 0]), TitledMatrix("ordinary_weight()", weight[0, 0])]
    stages = [Stage(inputs), Stage([TitledMatrix("F.conv2d of both", output[0, 0])], computed=True)]
    zeros, remark = int(operator.scale) - 1, "The kernel is rotated by 180°."
    if zeros == 0:
        return View(
            "1  An ordinary convolution of the zero-padded input; scale 1 inserts no zeros.", stages, output, remark
        )
    remark = (
        f"The number of zeros between neighbouring pixels is s − 1 = {zeros}. With the padding, the kernel reaches the "
        f"border. {remark}"
    )
    return View("1  An ordinary convolution of the input with zeros inserted.", stages, output, remark)


def _matrix_product(operator: TransposedOperator, x: Tensor) -> View:
    h, w = x.shape[-2:]
    height, width = operator.output_size(h, w)
    matrix, column, bias = operator.matrix(h, w), x.flatten(1).T, operator.conv.bias
    assert bias is not None
    product = matrix @ column + bias
    title = f"Cᵀ, {matrix.shape[0]} × {matrix.shape[1]}"
    inputs = [TitledMatrix(title, matrix, groups=(width, w)), TitledMatrix("x", column)]
    result = TitledMatrix("Cᵀx + bias" if bias.any() else "Cᵀx", product, groups=(width, 0))
    remark = (
        f"Cᵀ has one row per output pixel, in groups of {width}, and one column per input pixel, in groups of {w}. "
        f"C is the matrix of the convolution with stride {int(operator.scale)} from {height} × {width} to {h} × {w} "
        "pixels."
    )
    return View(
        "2  A matrix product: Cᵀ times the flattened input is the flattened output.",
        [Stage(inputs), Stage([result], computed=True)],
        product.view(1, 1, height, width),
        remark,
    )


def _phase_convolutions(operator: TransposedOperator, x: Tensor) -> View:
    s = int(operator.scale)
    kernels = {(row, col): phase_kernel(operator, row, col)[0] for row in range(s) for col in range(s)}
    output = interleaved_phases(operator, x)
    phases = Stage([TitledMatrix(f"phase {row}, {col}", kernel) for (row, col), kernel in kernels.items()])
    counts = sorted({kernel.numel() for kernel in kernels.values()})
    remark = f"Away from the border each output pixel is the sum of {counts[0]} product{'s' * (counts[0] > 1)}."
    if len(counts) > 1:
        numbers = f"{', '.join(str(count) for count in counts[:-1])} or {counts[-1]}"
        remark = (
            f"Depending on its phase, an output pixel is the sum of {numbers} products. This causes a checkerboard "
            "until training balances the weights."
        )
    number = "One small convolution" if s == 1 else f"{s * s} small convolutions"
    return View(
        f"3  {number} of the input, one per phase of the output.",
        [phases, Stage([TitledMatrix("interleaved", output[0, 0])], computed=True)],
        output,
        remark,
    )


def _phase_weights(operator: TransposedOperator, phase: int) -> tuple[Tensor, int]:
    """Along one axis, the weight indices phase + p − s·t for ascending offsets t, and the first offset."""
    s, k, padding = int(operator.scale), operator.conv.kernel_size[0], int(operator.conv.padding[0])
    first = -((k - 1 - phase - padding) // s)
    last = (phase + padding) // s
    return phase + padding - s * torch.arange(first, last + 1), first
