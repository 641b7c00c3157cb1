"""What the commands with argparse options share: a parser with one-line errors, and types of arguments."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from upnet.cli.startup import USER_ERROR
from upnet.utils.errors import UserError
from upnet.utils.printable import escape_unencodable_output
from upnet.utils.provenance import VERSION


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


def run_parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Parse the words and call the `run` of the chosen subcommand with the options; it returns the exit code.

    A UserError is printed as one line and gives 2.
    """
    escape_unencodable_output()
    try:
        options = parser.parse_args(words)
        return options.run(options)
    except UserError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return USER_ERROR
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else 0


def integer_from(lowest: int, what: str) -> Callable[[str], int]:
    """The argparse type of an integer that is at least `lowest`; `what` names it in the error."""

    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() else lowest - 1
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{what} must be an integer of at least {lowest}; got {text!r}")
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
