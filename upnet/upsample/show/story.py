"""How x becomes y, as blocks to be set side by side."""

from functools import singledispatch

from torch import Tensor

from upnet.upsample.base import Upsampler
from upnet.upsample.bilinear_additive import BilinearAdditive
from upnet.upsample.carafe import CARAFE
from upnet.upsample.decomposed_transposed import DecomposedTransposed
from upnet.upsample.dysample import DySample
from upnet.upsample.pixel_shuffle import PixelShuffle
from upnet.upsample.resize_conv import ResizeConv
from upnet.upsample.show.grid import Block, arrow, block
from upnet.upsample.show.specimen import Place

# Four kernels of 3×3 fill a line; of more than that the first and the last tell how they go on.
MOST_KERNELS = 4


@singledispatch
def story(operator: Upsampler, x: Tensor, place: Place) -> list[list[Block]]:
    """Rows of blocks: from x, (1, 1, h, w), over what the operator adds to it and has in between, to y."""
    if place.pooled is None or place.site.indices is None:
        return [[_input(x), *_kernels(operator), *_output(operator, x, place)]]
    picture, positions = place.pooled[0, 0], place.site.indices[0, 0]
    pooled = [_input(x, "x, its maxima"), block("their positions", positions)]
    return [[block("a picture", picture), arrow(len(picture)), *pooled, *_output(operator, x, place)]]


@story.register
def _(operator: PixelShuffle, x: Tensor, place: Place) -> list[list[Block]]:
    channels = [block(f"conv(x)[{number}]", channel) for number, channel in enumerate(operator.conv(x)[0])]
    return [[_input(x), *_kernels(operator)], [*_shortened(channels), *_output(operator, x, place)]]


@story.register
def _(operator: ResizeConv, x: Tensor, place: Place) -> list[list[Block]]:
    resized = operator.fixed(x, place.site)[0, 0]
    between = [arrow(len(resized)), block("fixed(x)", resized), *_kernels(operator)]
    return [[_input(x), *between, *_output(operator, x, place)]]


@story.register
def _(operator: BilinearAdditive, x: Tensor, place: Place) -> list[list[Block]]:
    return story(operator.resize, operator.added(x), place)


@story.register
def _(operator: DecomposedTransposed, x: Tensor, place: Place) -> list[list[Block]]:
    tall, (first, second) = operator.rows(x)[0, 0], _kernels(operator)
    return [[_input(x), first, arrow(len(tall)), block("rows(x)", tall), second, *_output(operator, x, place)]]


@story.register
def _(operator: DySample, x: Tensor, place: Place) -> list[list[Block]]:
    rows, cols = operator.shifts(x)[0, :, 0]
    shifts = [block("shifts, down", rows), block("shifts, right", cols)]
    return [[_input(x), *shifts, *_output(operator, x, place)]]


@story.register
def _(operator: CARAFE, x: Tensor, place: Place) -> list[list[Block]]:
    kernels = operator.kernels(x)[0, :, 0].view(operator.k_up, operator.k_up, -1)
    return [[_input(x), block("weights, of every window", kernels[..., 0]), *_output(operator, x, place)]]


def _input(x: Tensor, title: str = "x") -> Block:
    return block(title, x[0, 0], style="bold")


def _output(operator: Upsampler, x: Tensor, place: Place) -> list[Block]:
    y = operator(x, place.site)[0, 0]
    return [arrow(len(y)), block("y", y, style="bold green")]


def _kernels(operator: Upsampler) -> list[Block]:
    """Every kernel of every convolution, in the order of its numbers."""
    kernels = [
        kernel for weight in operator.parameters() if weight.dim() == 4 for kernel in weight.flatten(0, 1).unbind()
    ]
    titles = [f"weight[{number}]" for number in range(len(kernels))] if len(kernels) > 1 else ["weight"]
    return _shortened([block(title, kernel) for title, kernel in zip(titles, kernels, strict=False)])


def _shortened(blocks: list[Block]) -> list[Block]:
    if len(blocks) <= MOST_KERNELS:
        return blocks
    dots = Block("…", [])
    return [*blocks[:2], dots, blocks[-1]]
