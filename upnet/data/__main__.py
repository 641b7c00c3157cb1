"""`python -m upnet.data`: published sets of pictures, got and inspected."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from upnet.cli.startup import run_program
from upnet.utils.printable import escape_unencodable_output
from upnet.utils.provenance import VERSION

USER, INTERRUPTED = 2, 130
"""Exit codes: what the user said or has is wrong; it was broken off."""


class _Parser(argparse.ArgumentParser):
    """Answers a mistake with one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; without one, print the published sets."""
    from upnet.cli.audit import add_parser as add_audit
    from upnet.cli.download import add_parser as add_download
    from upnet.cli.download import show_sets

    escape_unencodable_output()
    parser = _Parser(
        prog="python -m upnet.data",
        description="Published sets of pictures, got and inspected. Without a command, they are listed.",
    )
    parser.add_argument("--version", action="version", version=f"upnet {VERSION}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_download(subparsers)
    add_audit(subparsers)
    options = parser.parse_args(arguments)
    try:
        if not hasattr(options, "run"):
            show_sets()
            return 0
        return options.run(options)
    except ValueError as fault:
        print(f"{parser.prog}: {fault}", file=sys.stderr)
        return USER
    except KeyboardInterrupt:
        print("\nBroken off; the same command goes on where it was.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run_program(main))
