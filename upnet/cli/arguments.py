"""Helpers for commands with argparse options: a parser with one-line errors, and argument types."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from upnet.cli.startup import FAILED, USER_ERROR
from upnet.utils.errors import RunError, UserError
from upnet.utils.paths import expand_user
from upnet.utils.printable import escape_unencodable_output
from upnet.utils.provenance import VERSION

if TYPE_CHECKING:
    from argparse import _SubParsersAction


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error as one line, without the usage, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"{self.prog}: {message}\n")


def command_parser(prog: str, description: str, epilog: str = "") -> Parser:
    """The parser of a command, with `--version`. Descriptions and examples keep their line breaks."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog=prog, description=description, epilog=epilog, formatter_class=formatter)
    parser.add_argument("--version", action="version", version=f"upnet {VERSION}")
    return parser


def add_command(
    commands: "_SubParsersAction[Any]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a subcommand; the caller adds its options. Descriptions and examples keep their line breaks.

    run:     takes the parsed options and returns the exit code.
    summary: one line in the help of the parent command.
    """
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=summary, description=description, epilog=epilog, formatter_class=formatter)
    parser.set_defaults(run=run)
    return parser


def add_evaluation_options(parser: argparse.ArgumentParser, protocol: str, protocol_help: str, json_help: str) -> None:
    """Add the options of every command that evaluates images: --protocol, --cache-dir and --json.

    protocol: the default.
    """
    parser.add_argument(
        "--protocol",
        choices=("rgb8", "y-float"),
        default=protocol,
        help=f"{protocol_help} (default: {protocol})",
    )
    parser.add_argument("--cache-dir", type=expand_user, metavar="FOLDER", help="folder of the cache of decoded images")
    parser.add_argument("--json", type=expand_user, metavar="FILE", help=json_help)


def run_parsed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> int:
    """Parse the arguments, call the `run` of the chosen subcommand with the options, and return its exit code.

    A UserError is printed as one line and gives 2, a RunError 1.
    """
    escape_unencodable_output()
    try:
        options = parser.parse_args(argv)
        return options.run(options)
    except (UserError, RunError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return USER_ERROR if isinstance(error, UserError) else FAILED
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 0


def integer_from(lowest: int, name: str) -> Callable[[str], int]:
    """The argparse type of an integer that is at least `lowest`. name: of the argument, for the error."""

    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else lowest - 1
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{name} must be an integer of at least {lowest}; got {text!r}")
        return value

    return parse


def check_output_file(path: Path | None, suffix: str = "") -> None:
    """Raise UserError if the file can't be written, before minutes are spent on its content.

    suffix: what its name must end in, such as ".png".
    """
    if path is None:
        return
    if suffix and path.suffix.lower() != suffix:
        raise UserError(f"the name of {path} must end in {suffix}")
    if path.is_dir():
        raise UserError(f"{path} is a folder", cure="Name a file in it")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} into", cure="Create it first")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"the folder {path.parent} can't be written", cure="Choose another folder")
