"""`python -m upnet.study COMMAND`: studies that need no training of their own, or look back at those that ran."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from upnet.cli.diagnose import add_parser as add_diagnose
from upnet.cli.oracle import add_parser as add_oracle
from upnet.cli.startup import run_program
from upnet.utils.printable import escape_unencodable_output
from upnet.utils.provenance import VERSION

USER, INTERRUPTED = 2, 130


class _Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command: 0, or 2 where its user can mend what is wrong, which is then told in one sentence; 130 for Ctrl-C.

    Anything else that goes wrong is raised, and ends the program with 1.
    """
    escape_unencodable_output()
    parser = _Parser(prog="python -m upnet.study", description="Upsampling operators held against each other.")
    parser.add_argument("--version", action="version", version=f"upnet {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_oracle, add_diagnose):
        add(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("\nBroken off; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as fault:
        print(f"{parser.prog} {options.command}: {fault}", file=sys.stderr)
        return USER
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
