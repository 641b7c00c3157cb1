"""`upnet data`: list, download and audit data sets."""

from collections.abc import Sequence

from upnet.cli.arguments import command_parser, run_parsed


def main(words: Sequence[str]) -> int:
    """Run a subcommand and return its exit code; without one, list the published data sets."""
    from upnet.cli.audit import add_parser as add_audit
    from upnet.cli.download import add_parser as add_download
    from upnet.cli.download import show_sets

    parser = command_parser(
        "upnet data", "List, download and audit data sets. Without a command, the published sets are listed."
    )
    parser.set_defaults(run=show_sets)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_download(commands)
    add_audit(commands)
    return run_parsed(parser, words)
