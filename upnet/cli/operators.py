"""The command line of `upnet operators`."""

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
from upnet.gallery.example import Example, find_operator, prepare, public_operators, with_small_kernel
from upnet.gallery.text import print_page
from upnet.upsample.base import Upsampler
from upnet.utils.errors import UserError
from upnet.utils.paths import expand_user

LARGEST_SCALE = 16
MOST_VALUES = 64

EXAMPLES = """\
examples:
  upnet operators
  upnet operators --operator Transposed --set kernel_size=4
  upnet operators --operator Bicubic --set kernel=lagrange --input "0 0 1 0 0" --scale 3
  upnet operators --operator ResizeConv --set fixed=Bilinear --scale 1.5
  upnet operators --operator my.module.Operator
  upnet operators --picture operators.png
"""


def main(words: Sequence[str]) -> int:
    """Print the operators, draw them if asked to, and return the exit code."""
    parser = _build_parser()
    parser.set_defaults(run=run)
    return run_parsed(parser, words)


def run(options: argparse.Namespace) -> int:
    """Print what each operator does, and write the image that was asked for. Raises UserError for unusable options."""
    ctrl_c_raises()
    settings = _settings(options.set)
    if settings and options.operator is None:
        raise UserError("--set changes one operator", cure="Choose it by --operator NAME")
    check_output_file(options.picture, ".png")
    operators, left_out = _choose(options.operator, options.scale)
    readable = [prepare(o, options.scale, with_small_kernel(o, options.scale, settings)) for o in operators]
    _print(readable, options.input, options.scale, left_out)
    if options.picture is not None:
        _draw(operators, settings, options)
    return OK


def _build_parser() -> Parser:
    parser = command_parser(
        "upnet operators",
        "Meet the upsampling operators: print what each makes of a few numbers, with the three views\n"
        "of the transposed convolution, and draw what each makes of a photograph.",
        EXAMPLES,
    )
    names = ", ".join(public_operators())
    parser.add_argument("--operator", metavar="NAME", help=f"show one operator only: {names}, or my.module.Operator")
    parser.add_argument(
        "--set",
        metavar="SETTING=VALUE",
        action="append",
        default=[],
        help="a setting of that operator, such as kernel_size=4 or a=-0.75; may be given more than once",
    )
    parser.add_argument(
        "--scale",
        type=_scale,
        default=2,
        help=f"how many times as large the output is, from 1 to {LARGEST_SCALE} (default: 2); "
        "operators that take whole numbers only are left out of a fractional one",
    )
    parser.add_argument(
        "--input",
        type=_numbers,
        default="1 2; 3 4",
        metavar="NUMBERS",
        help='the numbers to enlarge, rows separated by semicolons (default: "1 2; 3 4")',
    )
    parser.add_argument(
        "--picture",
        type=expand_user,
        metavar="OUT.png",
        help="also draw every operator on a detail of a photograph, with its impulse response and spectrum",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the initial weights in the picture, which are not trained (default: 0)"
    )
    return parser


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 1 <= scale <= LARGEST_SCALE:
        raise argparse.ArgumentTypeError(f"a scale is a number from 1 to {LARGEST_SCALE}; got {text!r}")
    return int(scale) if scale == int(scale) else scale


def _numbers(text: str) -> Tensor:
    """(h, w) in float64 from rows separated by semicolons."""
    try:
        rows = [[float(value) for value in row.replace(",", " ").split()] for row in text.split(";")]
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"numbers are needed, as in '1 2; 3 4'; got {text!r}") from fault
    if not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise argparse.ArgumentTypeError(f"every row needs equally many numbers, one at least; got {text!r}")
    if sum(len(row) for row in rows) > MOST_VALUES or not all(math.isfinite(value) for row in rows for value in row):
        raise argparse.ArgumentTypeError(f"at most {MOST_VALUES} finite numbers can be shown; got {text!r}")
    return torch.tensor(rows, dtype=torch.float64)


def _settings(pairs: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UserError("must be SETTING=VALUE, as in kernel_size=4", setting="--set", value=pair)
        public = public_operators()
        try:
            settings[name] = public[value] if value in public else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[name] = value  # A word: kernel=lagrange.
    return settings


def _choose(name: str | None, scale: float) -> tuple[list[type[Upsampler]], list[str]]:
    """The operators to show, and the names of those that don't have the scale."""
    if name is not None:
        return [find_operator(name)], []
    public = public_operators()
    left_out = [] if scale == int(scale) else [name for name, operator in public.items() if not operator.fractional]
    return [operator for name, operator in public.items() if name not in left_out], left_out


def _print(examples: Sequence[Example], x: Tensor, scale: float, left_out: Sequence[str]) -> None:
    print_page(Console(highlight=False), examples, x, scale, left_out)


def _draw(operators: Sequence[type[Upsampler]], settings: Mapping[str, Any], options: argparse.Namespace) -> None:
    # Only the picture needs matplotlib and a photograph; the text does not wait for them.
    from upnet.gallery.figure import draw, save

    torch.manual_seed(options.seed)
    examples = [prepare(operator, options.scale, settings) for operator in operators]
    figure = draw(examples, options.scale, options.seed)
    try:
        width, height = save(figure, options.picture, examples)
    except OSError as fault:
        raise UserError(f"{options.picture} can't be written: {fault.strerror}") from fault
    print(f"  Drawn: {options.picture}, {width} × {height} pixels\n")
