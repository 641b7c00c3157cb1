"""`upnet study`: the optimum of linear upsampling, and diagnostics of trained networks."""

from collections.abc import Sequence

from upnet.cli.arguments import command_parser, run_parsed
from upnet.cli.diagnose import add_parser as add_diagnose
from upnet.cli.oracle import add_parser as add_oracle


def main(argv: Sequence[str]) -> int:
    """Run a subcommand and return its exit code."""
    parser = command_parser(
        "upnet study", "Compare upsampling operators. To train the arms of a study: upnet train experiment=study/NAME"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_oracle(commands)
    add_diagnose(commands)
    return run_parsed(parser, argv)
