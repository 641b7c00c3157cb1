"""Other ways to an operator's output: the three views of the transposed convolution."""

from dataclasses import dataclass
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.gallery.number_grid import Block, arrow, block
from upnet.upsample.base import Upsampler
from upnet.upsample.transposed import Transposed


@dataclass(frozen=True)
class View:
    """Another way to the same output: a heading, blocks side by side, and a closing remark."""

    heading: str
    blocks: list[Block]
    remark: str = ""


@singledispatch
def views(operator: Upsampler, x: Tensor) -> list[View]:
    """Other ways from x, (1, 1, h, w), to the same output; none for most operators."""
    return []


@views.register
def _(operator: Transposed, x: Tensor) -> list[View]:
    return [_zero_insertion(operator, x), _matrix(operator, x), _phases(operator, x)]


def _compared(operator: Transposed, x: Tensor, out: Tensor) -> str:
    """In words, with room for the last digit of a float64, which depends on the order of a sum."""
    away = (operator.upsample_full(x) - out).abs().max().item()
    return "This is y." if away < 1e-9 * (1 + out.abs().max().item()) else f"This differs from y by {away:g}."


def _zero_insertion(operator: Transposed, x: Tensor) -> View:
    expanded, weight = operator.zero_inserted(x), operator.ordinary_weight()
    out = F.conv2d(expanded, weight, operator.conv.bias)
    blocks = [
        block("zero_inserted(x)", expanded[0, 0], style="bold"),
        block("ordinary_weight()", weight[0, 0]),
        arrow(out.shape[-2]),
        block("F.conv2d of the two", out[0, 0], style="green"),
    ]
    if operator.scale == 1:
        heading = "1  An ordinary convolution of the input, framed by zeros: with scale 1 there are none to insert."
        return View(heading, blocks, f"The kernel is turned by half a turn. {_compared(operator, x, out)}")
    return View(
        "1  An ordinary convolution, not of the input but of the input with zeros inserted.",
        blocks,
        f"s − 1 = {int(operator.scale) - 1} between neighbours, and a frame that lets the kernel reach the border; the "
        f"kernel is turned by half a turn. {_compared(operator, x, out)}",
    )


def _matrix(operator: Transposed, x: Tensor) -> View:
    height, width = x.shape[-2:]
    matrix, column = operator.matrix(height, width), x.flatten(1).T
    bias = operator.conv.bias
    assert bias is not None
    product = matrix @ column + bias
    tall, wide = operator.output_size(height, width)
    blocks = [
        block(f"Cᵀ, {matrix.shape[0]} × {matrix.shape[1]}", matrix, every=(wide, width)),
        block("x", column, style="bold"),
        arrow(height * width),
        block("Cᵀx + bias" if bias.any() else "Cᵀx", product, every=(wide, 0), style="green"),
    ]
    remark = (
        f"One row for each output pixel, in lines of {wide}; one column for each input pixel, in groups of {width}. "
        f"C is the matrix of the convolution with stride {int(operator.scale)} that goes from {tall} × {wide} "
        f"to {height} × {width}. {_compared(operator, x, product.view(1, 1, tall, wide))}"
    )
    return View("2  A matrix product: Cᵀ times the flattened input is the flattened output.", blocks, remark)


def _phases(operator: Transposed, x: Tensor) -> View:
    s = int(operator.scale)
    kernels = {(r, c): phase_kernel(operator, r, c)[0] for r in range(s) for c in range(s)}
    blocks = [block(f"phase {r}, {c}", kernel) for (r, c), kernel in kernels.items()]
    together = interleaved(operator, x)
    blocks += [arrow(s * x.shape[-2]), block("interleaved", together[0, 0], style="green")]
    counts = sorted({kernel.numel() for kernel in kernels.values()})
    remark = f"Away from the border every output pixel is made of {counts[0]} product{'s' * (counts[0] > 1)}."
    if len(counts) > 1:
        listed = f"{', '.join(str(count) for count in counts[:-1])} or {counts[-1]}"
        remark = (
            f"Output pixels are made of {listed} products, phase by phase: this unevenness shows as a checkerboard "
            "until the weights have learnt to even it out."
        )
    small = "One small convolution" if s == 1 else f"{s * s} small convolutions"
    heading = f"3  {small} of the input, one for each phase of the output."
    return View(heading, blocks, f"{remark} {_compared(operator, x, together)}")


def phase_kernel(operator: Transposed, row: int, col: int) -> tuple[Tensor, tuple[int, int]]:
    """The weights that make the output pixels s·n + (row, col) of the inputs around n, for one channel.

    Returns the kernel, to be correlated with the input, and how far its first row and column lie from n.
    """
    weight = operator.conv.weight[0, 0]
    (rows, first_row), (cols, first_col) = _reach(operator, row), _reach(operator, col)
    return weight[rows][:, cols], (first_row, first_col)


def interleaved(operator: Transposed, x: Tensor) -> Tensor:
    """The output put together from its s·s phases: (1, 1, h, w) -> (1, 1, s·h, s·w), bias included."""
    s, (height, width) = int(operator.scale), x.shape[-2:]
    bias = operator.conv.bias
    phases = []
    for row in range(s):
        for col in range(s):
            kernel, (top, left) = phase_kernel(operator, row, col)
            bottom, right = top + kernel.shape[0] - 1, left + kernel.shape[1] - 1
            padded = F.pad(x, (-left, right, -top, bottom))
            phases.append(F.conv2d(padded, kernel[None, None], bias))
    return F.pixel_shuffle(torch.cat(phases, dim=1), s).view(1, 1, s * height, s * width)


def _reach(operator: Transposed, phase: int) -> tuple[Tensor, int]:
    """Along one axis: the weights' places phase + p − s·t for t upwards, and the first t."""
    s, k, padding = int(operator.scale), operator.conv.kernel_size[0], int(operator.conv.padding[0])
    first = -((k - 1 - phase - padding) // s)
    last = (phase + padding) // s
    return phase + padding - s * torch.arange(first, last + 1), first
