"""The operators on paper: what each makes of a few numbers."""

from collections.abc import Sequence
from functools import singledispatch

import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor

from upnet.gallery.example import Example, ExampleSite, example_site, set_counting_weights
from upnet.gallery.number_grid import ZERO, Block, arrow, beside, block
from upnet.gallery.views import View, views
from upnet.upsample.base import Upsampler
from upnet.upsample.bilinear_additive import BilinearAdditive
from upnet.upsample.carafe import CARAFE
from upnet.upsample.decomposed_transposed import DecomposedTransposed
from upnet.upsample.dysample import DySample
from upnet.upsample.pixel_shuffle import PixelShuffle
from upnet.upsample.resize_conv import ResizeConv

# Four kernels of 3×3 fill a line; of more than that the first and the last tell how they go on.
MOST_KERNELS = 4


@singledispatch
def trace(operator: Upsampler, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    """Rows of blocks: from x, (1, 1, h, w), over what the operator adds to it and has in between, to y."""
    if place.pooled is None or place.site.indices is None:
        return [[_input(x), *_kernels(operator), *_output(operator, x, place)]]
    picture, positions = place.pooled[0, 0], place.site.indices[0, 0]
    pooled = [_input(x, "x, its maxima"), block("their positions", positions)]
    return [[block("a picture", picture), arrow(len(picture)), *pooled, *_output(operator, x, place)]]


@trace.register
def _(operator: PixelShuffle, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    channels = [block(f"conv(x)[{number}]", channel) for number, channel in enumerate(operator.conv(x)[0])]
    return [[_input(x), *_kernels(operator)], [*_shortened(channels), *_output(operator, x, place)]]


@trace.register
def _(operator: ResizeConv, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    resized = operator.fixed(x, place.site)[0, 0]
    between = [arrow(len(resized)), block("fixed(x)", resized), *_kernels(operator)]
    return [[_input(x), *between, *_output(operator, x, place)]]


@trace.register
def _(operator: BilinearAdditive, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    return trace(operator.resize, operator.channel_sums(x), place)


@trace.register
def _(operator: DecomposedTransposed, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    tall, (first, second) = operator.rows(x)[0, 0], _kernels(operator)
    return [[_input(x), first, arrow(len(tall)), block("rows(x)", tall), second, *_output(operator, x, place)]]


@trace.register
def _(operator: DySample, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    rows, cols = operator.shifts(x)[0, :, 0]
    shifts = [block("shifts, down", rows), block("shifts, right", cols)]
    return [[_input(x), *shifts, *_output(operator, x, place)]]


@trace.register
def _(operator: CARAFE, x: Tensor, place: ExampleSite) -> list[list[Block]]:
    kernels = operator.reassembly_kernels(x)[0, :, 0].view(operator.k_up, operator.k_up, -1)
    return [[_input(x), block("weights, of every window", kernels[..., 0]), *_output(operator, x, place)]]


def _input(x: Tensor, title: str = "x") -> Block:
    return block(title, x[0, 0], style="bold")


def _output(operator: Upsampler, x: Tensor, place: ExampleSite) -> list[Block]:
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


# A matrix of more rows is no longer read but scrolled through.
LARGEST_OUTPUT = 100
MARGIN = "  "


@torch.no_grad()
def print_page(console: Console, examples: Sequence[Example], x: Tensor, scale: float, left_out: Sequence[str]) -> None:
    """Print what each example makes of x, (h, w) in float64; `left_out` are those that don't have the scale."""
    subject = "every operator" if len(examples) > 1 else examples[0].name
    numbers = "; ".join(" ".join(f"{value:g}" for value in row) for row in x.tolist())
    console.print()
    title = Text.assemble(MARGIN, f"What {subject} makes of ", (f"[{numbers}]", "bold"), f" with scale {scale:g}")
    console.print(title, soft_wrap=True)
    legend = f"{ZERO} is zero."
    if any(example.learnable for example in examples):
        legend += " Learnt weights are set to 1, 2, 3, … in reading order, biases to zero."
    _print_paragraph(console, legend, "dim")
    for example in examples:
        console.print()
        _print_example(console, example, x[None, None])
    if left_out:
        console.print()
        _print_paragraph(console, f"Left out, since they take whole scales only: {', '.join(left_out)}.", "dim")
    console.print()


def _print_example(console: Console, example: Example, x: Tensor) -> None:
    operator = example.operator
    remark = set_counting_weights(operator)
    settings = example.code[len(example.name) :]
    heading = Text.assemble((example.name, "bold cyan"), (settings, "cyan"))
    console.rule(heading, align="left", style="dim", characters="─")
    _print_paragraph(console, example.sentence)
    if remark:
        _print_paragraph(console, remark, "dim")
    console.print()
    for number, blocks in enumerate(trace(operator, x, example_site(operator, x))):
        if number:
            console.print()
        _print_lines(console, beside(blocks, console.width))
    for view in views(operator, x):
        _print_view(console, view)


def _print_view(console: Console, view: View) -> None:
    console.print()
    _print_paragraph(console, view.heading, "bold")
    console.print()
    if max(len(block.lines) for block in view.blocks) <= LARGEST_OUTPUT:
        _print_lines(console, beside(view.blocks, console.width))
    else:
        _print_paragraph(console, "Too many rows to be read; a smaller --input or --scale shows them.", "dim")
    if view.remark:
        console.print()
        _print_paragraph(console, view.remark, "dim")


def _print_paragraph(console: Console, words: str, style: str = "") -> None:
    for line in Text(words, style=style).wrap(console, max(20, min(console.width, 100) - len(MARGIN))):
        line.rstrip()
        console.print(Text(MARGIN).append_text(line), no_wrap=True)


def _print_lines(console: Console, lines: Sequence[Text]) -> None:
    """Lines that belong under each other, which no width of the terminal may break."""
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
