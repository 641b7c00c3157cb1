"""The operators on paper: what each makes of a few numbers."""

from collections.abc import Sequence

import torch
from rich.console import Console
from rich.text import Text
from torch import Tensor

from upnet.upsample.show.grid import ZERO, beside
from upnet.upsample.show.specimen import Specimen, count_weights, place_for
from upnet.upsample.show.story import story
from upnet.upsample.show.views import View, views

# A matrix of more rows is no longer read but scrolled through.
LARGEST_OUTPUT = 100
MARGIN = "  "


@torch.no_grad()
def print_page(
    console: Console, specimens: Sequence[Specimen], x: Tensor, scale: float, left_out: Sequence[str]
) -> None:
    """Print what each specimen makes of x, (h, w) in float64; `left_out` are those that don't have the scale."""
    subject = "every operator" if len(specimens) > 1 else specimens[0].name
    numbers = "; ".join(" ".join(f"{value:g}" for value in row) for row in x.tolist())
    console.print()
    title = Text.assemble(MARGIN, f"What {subject} makes of ", (f"[{numbers}]", "bold"), f" with scale {scale:g}")
    console.print(title, soft_wrap=True)
    legend = f"{ZERO} is zero."
    if any(specimen.learnable for specimen in specimens):
        legend += " Learnt weights are set to 1, 2, 3, … in reading order, biases to zero."
    _print_paragraph(console, legend, "dim")
    for specimen in specimens:
        console.print()
        _print_specimen(console, specimen, x[None, None])
    if left_out:
        console.print()
        _print_paragraph(console, f"Left out, since they take whole scales only: {', '.join(left_out)}.", "dim")
    console.print()


def _print_specimen(console: Console, specimen: Specimen, x: Tensor) -> None:
    operator = specimen.operator
    remark = count_weights(operator)
    settings = specimen.code[len(specimen.name) :]
    heading = Text.assemble((specimen.name, "bold cyan"), (settings, "cyan"))
    console.rule(heading, align="left", style="dim", characters="─")
    _print_paragraph(console, specimen.sentence)
    if remark:
        _print_paragraph(console, remark, "dim")
    console.print()
    for number, blocks in enumerate(story(operator, x, place_for(operator, x))):
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
