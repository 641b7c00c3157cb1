"""The command `upnet operators`: print what the upsampling operators compute, and draw them."""

import argparse
import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from upnet.cli.arguments import Parser, check_output_file, command_parser, run_parsed
from upnet.cli.startup import OK, ctrl_c_raises
from upnet.gallery.example import build_example, find_operator, public_operators, with_small_kernel
from upnet.gallery.text import print_examples
from upnet.upsample.base import Upsampler
from upnet.utils.errors import RunError, UserError
from upnet.utils.paths import expand_user

MAX_SCALE = 16
MAX_VALUES = 64

EXAMPLES = """\
examples:
  upnet operators
  upnet operators --operator Transposed --set kernel_size=4
  upnet operators --operator Bicubic --set kernel=lagrange --input "0 0 1 0 0" --scale 3
  upnet operators --operator ResizeConv --set fixed=Bilinear --scale 1.5
  upnet operators --operator my.module.Operator
  upnet operators --figure operators.png
"""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code. argv: the arguments after `upnet operators`."""
    parser = _build_parser()
    parser.set_defaults(run=run)
    return run_parsed(parser, argv)


def run(options: argparse.Namespace) -> int:
    """Print the operators and, with --figure, draw them.

    Raises UserError for invalid options and RunError if the figure cannot be written.
    """
    ctrl_c_raises()
    settings = _settings(options.set)
    if settings and options.operator is None:
        raise UserError("--set needs --operator", cure="Choose the operator by --operator NAME")
    check_output_file(options.figure, ".png")
    operators, omitted = _select_operators(options.operator, options.scale)
    examples = [
        build_example(operator, options.scale, with_small_kernel(operator, options.scale, settings))
        for operator in operators
    ]
    print_examples(Console(highlight=False), examples, options.input, options.scale, omitted)
    if options.figure is not None:
        _draw(operators, settings, options)
    return OK


def _build_parser() -> Parser:
    parser = command_parser(
        "upnet operators",
        "Show the upsampling operators: print the output of each for a few numbers, with the weights and\n"
        "intermediate results, and draw the output for a photograph, the impulse response and spectra.",
        EXAMPLES,
    )
    names = ", ".join(public_operators())
    parser.add_argument("--operator", metavar="NAME", help=f"show only this operator: {names}, or my.module.Operator")
    parser.add_argument(
        "--set",
        metavar="SETTING=VALUE",
        action="append",
        default=[],
        help="a setting of the operator, such as kernel_size=4 or a=-0.75; can be repeated",
    )
    parser.add_argument(
        "--scale",
        type=_scale,
        default=2,
        help=f"upsampling factor, from 1 to {MAX_SCALE} (default: 2); operators that need an integer are not shown "
        "at a fractional scale",
    )
    parser.add_argument(
        "--input",
        type=_numbers,
        default="1 2; 3 4",
        metavar="NUMBERS",
        help='the input, rows separated by semicolons (default: "1 2; 3 4")',
    )
    parser.add_argument(
        "--figure",
        type=expand_user,
        metavar="FILE.png",
        help="also draw each operator: output for a photograph, impulse response and spectra",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the initial weights in the figure (default: 0)")
    return parser


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 1 <= scale <= MAX_SCALE:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_SCALE}; got {text!r}")
    return int(scale) if scale == int(scale) else scale


def _numbers(text: str) -> Tensor:
    """Parse rows separated by semicolons: (h, w) in float64."""
    try:
        rows = [[float(value) for value in row.replace(",", " ").split()] for row in text.split(";")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be numbers, as in '1 2; 3 4'; got {text!r}") from error
    if not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise argparse.ArgumentTypeError(f"must have the same number of values in each row, at least 1; got {text!r}")
    if sum(len(row) for row in rows) > MAX_VALUES or not all(math.isfinite(value) for row in rows for value in row):
        raise argparse.ArgumentTypeError(f"must be at most {MAX_VALUES} finite numbers; got {text!r}")
    return torch.tensor(rows, dtype=torch.float64)


def _settings(pairs: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    public = public_operators()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError("must be SETTING=VALUE, as in kernel_size=4", setting="--set", value=pair)
        try:
            settings[name] = public[value] if value in public else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value  # text, as in kernel=lagrange
    return settings


def _select_operators(name: str | None, scale: float) -> tuple[list[type[Upsampler]], list[str]]:
    """The operators to show, and the names of those that don't support the scale."""
    if name is not None:
        return [find_operator(name)], []
    public = public_operators()
    omitted = [] if scale == int(scale) else [name for name, operator in public.items() if not operator.fractional]
    return [operator for name, operator in public.items() if name not in omitted], omitted


def _draw(operators: Sequence[type[Upsampler]], settings: Mapping[str, Any], options: argparse.Namespace) -> None:
    # Only the figure needs matplotlib and scikit-image, which are slow to import.
    from upnet.gallery.figure import draw_figure, save_figure

    torch.manual_seed(options.seed)
    examples = [build_example(operator, options.scale, settings) for operator in operators]
    figure = draw_figure(examples, options.scale, options.seed)
    try:
        width, height = save_figure(figure, options.figure, examples)
    except OSError as error:
        raise RunError(f"{options.figure} cannot be written: {error.strerror}") from error
    print(f"  Figure: {options.figure}, {width} × {height} pixels\n")
