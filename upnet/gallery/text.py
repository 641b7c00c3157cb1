"""The text of `upnet operators`: the output of each operator for a few numbers, with the stages before it."""

from collections.abc import Sequence

import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor

from upnet.gallery.example import Example, ExampleSite, example_site, set_example_weights
from upnet.gallery.number_grid import ZERO, lay_out, max_rows
from upnet.upsample.base import Upsampler
from upnet.upsample.stages import Stage, TitledMatrix, View

MARGIN = "  "
MAX_PARAGRAPH_WIDTH = 100
# A taller matrix does not fit on a screen.
MAX_ROWS = 100


@torch.no_grad()
def print_examples(
    console: Console, examples: Sequence[Example], x: Tensor, scale: float, omitted: Sequence[str]
) -> None:
    """Print the output of each example for the input x, (h, w) in float64.

    omitted: names of the operators that don't support the scale.
    """
    subject = "every operator" if len(examples) > 1 else examples[0].name
    numbers = "; ".join(" ".join(f"{value:g}" for value in row) for row in x.tolist())
    console.print()
    title = Text.assemble(MARGIN, f"Output of {subject} for x = ", (f"[{numbers}]", "bold"), f" at scale {scale:g}")
    console.print(title, soft_wrap=True)
    legend = f"{ZERO} is zero."
    if any(example.learnable for example in examples):
        legend += " Learned weights are set to 1, 2, 3, … in memory order, biases to zero."
    _print_paragraph(console, legend, "dim")
    for example in examples:
        console.print()
        _print_example(console, example, x[None, None])
    if omitted:
        console.print()
        _print_paragraph(console, f"Not shown, since they need an integer scale: {', '.join(omitted)}.", "dim")
    console.print()


def trace(operator: Upsampler, x: Tensor, example_site: ExampleSite) -> list[Stage]:
    """The stages from the input x, (1, 1, h, w), or from the image that was pooled to x, to the output y."""
    site, image = example_site.site, example_site.image
    stages = [Stage([TitledMatrix("x", x[0, 0])])]
    if image is not None and site.indices is not None:
        pooled = [TitledMatrix("x, its maxima", x[0, 0]), TitledMatrix("their indices", site.indices[0, 0])]
        stages = [Stage([TitledMatrix("an image", image[0, 0])]), Stage(pooled, computed=True)]
    output = TitledMatrix("y", operator(x, site)[0, 0])
    return [*stages, *operator.stages(x, site), Stage([output], computed=True)]


def _print_example(console: Console, example: Example, x: Tensor) -> None:
    operator = example.operator
    weights = set_example_weights(operator)
    arguments = example.code[len(example.name) :]
    heading = Text.assemble((example.name, "bold cyan"), (arguments, "cyan"))
    console.rule(heading, align="left", style="dim", characters="─")
    _print_paragraph(console, example.summary)
    if weights:
        _print_paragraph(console, weights, "dim")
    console.print()
    _print_lines(console, lay_out(trace(operator, x, example_site(operator, x)), console.width))
    for view in operator.views(x):
        _print_view(console, view, operator.upsample_full(x))


def _print_view(console: Console, view: View, output: Tensor) -> None:
    console.print()
    _print_paragraph(console, view.heading, "bold")
    console.print()
    if max_rows(view.stages) <= MAX_ROWS:
        _print_lines(console, lay_out(view.stages, console.width))
    else:
        _print_paragraph(console, "The matrices are too tall to print. Choose a smaller --input or --scale.", "dim")
    console.print()
    _print_paragraph(console, f"{view.remark} {_comparison(view.output, output)}", "dim")


def _comparison(result: Tensor, output: Tensor) -> str:
    """A sentence on whether the result of a view equals the output, up to rounding in float64."""
    difference = (output - result).abs().max().item()
    equal = difference < 1e-9 * (1 + result.abs().max().item())
    return "The result equals y." if equal else f"The result differs from y by up to {difference:g}."


def _print_paragraph(console: Console, text: str, style: str = "") -> None:
    width = max(20, min(console.width, MAX_PARAGRAPH_WIDTH) - len(MARGIN))
    for line in Text(text, style=style).wrap(console, width):
        line.rstrip()
        console.print(Text(MARGIN).append_text(line), no_wrap=True)


def _print_lines(console: Console, lines: Sequence[Text]) -> None:
    """Print aligned lines, which must not be wrapped even where they are wider than the terminal."""
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
