"""`upnet data download`: download and unpack published data sets; and the list that `upnet data` prints."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upnet.cli.startup import FAILED, OK, ctrl_c_raises
from upnet.data.catalogue.base import PublishedSet, data_folder, published_sets
from upnet.data.catalogue.download import DownloadError
from upnet.data.catalogue.install import install, is_installed
from upnet.data.catalogue.layout import SCALES
from upnet.utils.overrides import format_override, upnet_command
from upnet.utils.paths import expand_user

EXAMPLES = """\
examples:
  upnet data download set5 set14
  upnet data download div2k --scale 2          LR images of scale 2 only
  upnet data download bsds --root /big/disk    then: upnet train data=bsds data.root=/big/disk

An interrupted download resumes. Archives are checked by size and checksum where these are known. A set appears in its
folder only when all of its images are unpacked.
"""


def add_parser(subparsers: Any) -> None:
    """Register `download` with argparse; its `run` takes the arguments and returns an exit code."""
    parser = subparsers.add_parser(
        "download",
        help="download published data sets",
        description="Download published data sets, check them and unpack their images.",
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
    parser.add_argument("--mirror", type=_address, metavar="URL", help="download the archives from URL/NAME.zip")
    parser.add_argument("--keep", action="store_true", help="keep the archives in FOLDER/.download")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Download the sets one by one; the exit code is 1 if a download failed. Raises UserError for a wrong argument."""
    root = options.root or data_folder()
    ctrl_c_raises()
    console = Console(highlight=False, soft_wrap=True)
    failed = False

    def report(text: str) -> None:
        console.print(f"  {escape(text)}")

    for name in options.names:
        chosen = published_sets()[name]
        console.print(f"[bold]{chosen.title}[/bold]: {chosen.count} images. {escape(chosen.licence)} {chosen.page}")
        try:
            install(chosen, root, report, options.scale, options.mirror, options.keep)
        except DownloadError as error:
            print(f"{chosen.title}: {error}", file=sys.stderr)
            failed = True
            continue
        found = chosen(str(root)).find()
        assert found is not None
        console.print(escape(f"  {chosen.count} images are in {found[0]}\n\n  {_next(name, chosen, options.root)}\n"))
    return FAILED if failed else OK


def _next(name: str, chosen: type[PublishedSet], root: Path | None) -> str:
    where = f" {format_override('data.root', root)}" if root is not None else ""
    if chosen.training:
        return f"{upnet_command('train')} data={name}{where}"
    return f"{upnet_command('evaluate')} checkpoint=PATH data={name}{where}"


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"URL must begin with http:// or https://; got {text!r}")
    return text


def show_sets(options: argparse.Namespace) -> int:
    """Print the published sets: use, number of images, size of the download, licence, and whether they are here."""
    root = data_folder()
    table = Table(box=None, pad_edge=False)
    for column, side in (("set", "left"), ("for", "left"), ("images", "right"), ("download", "right")):
        table.add_column(column, justify=side, no_wrap=True)  # pyright: ignore[reportArgumentType]
    table.add_column("terms")
    table.add_column(f"in {root}/")
    for name, chosen in published_sets().items():
        use = "training" if chosen.training else "evaluation"
        size = chosen.downloads[0].size_text if chosen.downloads else "–"
        table.add_row(name, use, str(chosen.count), size, chosen.terms, _state(chosen, root))
    console = Console(highlight=False)
    console.print(table)
    console.print("\nupnet data download NAME   downloads one\nupnet data --help          shows all commands")
    return OK


def _state(chosen: type[PublishedSet], root: Path) -> str:
    try:
        found = chosen(str(root)).find()
    except ValueError:
        return "HR and LR images don't match"
    if found is None:
        return "–"
    if len(found[1]) != chosen.count:
        return f"{len(found[1])} of {chosen.count}"
    return "yes" if is_installed(chosen, root) or not chosen.scales else "yes, without some LR images"
