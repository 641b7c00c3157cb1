"""`upnet data`: list and download published image sets, and audit a set (in `upnet.cli.audit`)."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upnet.cli import audit
from upnet.cli.arguments import command_parser, run_parsed
from upnet.cli.startup import FAILED, OK, ctrl_c_raises
from upnet.data.catalogue.base import PublishedSet, data_folder, published_sets
from upnet.data.catalogue.install import install, is_installed
from upnet.data.catalogue.layout import SCALES
from upnet.utils.errors import RunError, UserError
from upnet.utils.overrides import format_override, upnet_command
from upnet.utils.paths import expand_user

EXAMPLES = """\
examples:
  upnet data download set5 set14
  upnet data download div2k --scale 2          LR images of scale 2 only
  upnet data download bsds --root /big/disk    then: upnet train data=bsds data.root=/big/disk

An interrupted download resumes. Archives are checked by size and checksum where these are known. A set appears in its
folder only when all of its images are extracted.
"""


def main(argv: Sequence[str]) -> int:
    """Run a subcommand and return its exit code; without one, list the published sets."""
    parser = command_parser(
        "upnet data", "List, download and audit image sets. Without a command, the published sets are listed."
    )
    parser.set_defaults(run=list_sets)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_download(commands)
    audit.add_parser(commands)
    return run_parsed(parser, argv)


def list_sets(options: argparse.Namespace) -> int:
    """Print a table of the published sets: use, number of images, download size, licence, and whether they are here."""
    root = data_folder()
    table = Table(box=None, pad_edge=False)
    for column, side in (("set", "left"), ("use", "left"), ("images", "right"), ("download", "right")):
        table.add_column(column, justify=side, no_wrap=True)  # pyright: ignore[reportArgumentType]
    table.add_column("terms")
    table.add_column(f"in {root}/")
    for name, set_class in published_sets().items():
        use = "training" if set_class.training else "evaluation"
        size = set_class.downloads[0].size_text if set_class.downloads else "–"
        table.add_row(name, use, str(set_class.count), size, set_class.terms, _availability(set_class, root))
    console = Console(highlight=False)
    console.print(table)
    console.print("\nupnet data download NAME   downloads a set\nupnet data --help          shows all commands")
    return OK


def _availability(set_class: type[PublishedSet], root: Path) -> str:
    """Whether the root contains the set, for the table."""
    try:
        located = set_class(str(root)).find()
    except UserError:
        return "HR and LR images don't match"
    if located is None:
        return "–"
    _, pairs = located
    count = len(pairs)
    if count != set_class.count:
        return f"{count} of {set_class.count}"
    return "yes" if is_installed(set_class, root) or not set_class.scales else "yes, without some LR images"


def add_download(subparsers: Any) -> None:
    """Add `download` to the subcommands of an argparse parser; its `run` returns the exit code."""
    parser = subparsers.add_parser(
        "download",
        help="download published image sets",
        description="Download published image sets, verify the archives and extract their images.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sets = published_sets()
    parser.add_argument("names", nargs="+", metavar="NAME", choices=list(sets), help=", ".join(sets))
    parser.add_argument("--root", type=expand_user, metavar="FOLDER", help="the folder for the sets (default: data/)")
    parser.add_argument(
        "--scale",
        type=int,
        action="append",
        default=[],
        choices=SCALES,
        help="scale of the LR images, for sets with one archive per scale; may be repeated (default: all)",
    )
    parser.add_argument("--mirror", type=_url, metavar="URL", help="download the archives from URL/NAME.zip")
    parser.add_argument("--keep", action="store_true", help="keep the archives in FOLDER/.download")
    parser.set_defaults(run=download)


def download(options: argparse.Namespace) -> int:
    """Download the sets one by one; the exit code is 1 if a download failed. Raises UserError for a wrong argument."""
    root = options.root or data_folder()
    ctrl_c_raises()
    console = Console(highlight=False, soft_wrap=True)
    exit_code = OK

    def report(line: str) -> None:
        console.print(f"  {escape(line)}")

    for name in options.names:
        set_class = published_sets()[name]
        heading = f"{set_class.count} images. {escape(set_class.licence)} {set_class.page}"
        console.print(f"[bold]{set_class.title}[/bold]: {heading}")
        try:
            install(set_class, root, report, options.scale, options.mirror, options.keep)
        except RunError as error:
            print(f"{set_class.title}: {error}", file=sys.stderr)
            exit_code = FAILED
            continue
        located = set_class(str(root)).find()
        assert located is not None
        folder, _ = located
        report(f"{set_class.count} images are in {folder}\n\n  {_next_command(name, set_class, options.root)}\n")
    return exit_code


def _next_command(name: str, set_class: type[PublishedSet], root: Path | None) -> str:
    """The command that trains or evaluates on the set."""
    override = f" {format_override('data.root', root)}" if root is not None else ""
    if set_class.training:
        return f"{upnet_command('train')} data={name}{override}"
    return f"{upnet_command('evaluate')} checkpoint=PATH data={name}{override}"


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"must begin with http:// or https://; got {text!r}")
    return text
