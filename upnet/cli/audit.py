"""The command line of `python -m upnet.data audit`."""

import argparse
import sys
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upnet.audit.finding import TITLES, Report
from upnet.cli.startup import at_work
from upnet.utils.paths import expand_user

_CLEAN = {
    "unreadable": "all can be read",
    "pairs": "every HR picture has its LR picture",
    "sizes": "LR is HR / scale, and nothing is too small",
    "resizing": "LR was made as stated",
    "shift": "less than 0.05 LR pixels",
    "duplicates": "no picture twice",
    "leakage": "no evaluation picture is here",
}


def show(report: Report, console: Console) -> None:
    """Print a table of what was looked at, then each finding: what it is, what it means, what to do."""
    scales = ", ".join(f"×{scale}" for scale in report.scales)
    lr = f", LR {scales}" if scales else ""
    console.print(f"\n[bold]{escape(report.folder)}[/bold]: {report.pictures} HR pictures{lr}")
    counts = Counter(finding.kind for finding in report.findings)
    table = Table(box=None, pad_edge=False, show_header=False)
    for kind, title in TITLES.items():
        if kind in ("pairs", "resizing", "shift") and not report.scales:
            result = "[dim]no LR to look at[/dim]"
        elif kind == "leakage" and not report.against:
            result = "[dim]not asked: name the evaluation sets by --against FOLDER[/dim]"
        elif counts[kind]:
            result = f"[red]{counts[kind]} finding{'s' * (counts[kind] > 1)}[/red]"
        else:
            result = f"[green]{_CLEAN[kind]}[/green]"
        table.add_row(f"  {title}", result)
    console.print(table)
    for kind, title in TITLES.items():
        mine = [finding for finding in report.findings if finding.kind == kind]
        if mine:
            console.print(f"\n[bold]{title}[/bold]")
        for number, finding in enumerate(mine):
            scale = f"×{finding.scale}: " if finding.scale else ""
            console.print(f"  [red]•[/red] {scale}{escape(finding.what)}", soft_wrap=True)
            following = mine[number + 1] if number + 1 < len(mine) else None
            if following is None or (following.means, following.cure) != (finding.means, finding.cure):
                console.print(f"    [dim]{escape(finding.means)}[/dim]", soft_wrap=True)
                console.print(f"    [green]→[/green] {escape(finding.cure)}", soft_wrap=True)
    if report.remarks:
        console.print("\n[bold]Worth knowing[/bold]")
        for remark in report.remarks:
            console.print(f"  • {escape(remark)}", soft_wrap=True)
    count = len(report.findings)
    told = "Nothing is wrong." if report.clean else f"{count} finding{'s' * (count > 1)}."
    console.print(f"\n[bold]{told}[/bold]")


CLEAN, FOUND, MISTAKEN = 0, 1, 2

_STATED = ("imresize-symmetric", "imresize-replicate", "any")

_EPILOG = """\
examples:
  python -m upnet.data audit DIV2K --scale 2 --against Set5 Set14
  python -m upnet.data audit Set5 --resizing imresize-replicate
  python -m upnet.data audit PICTURES --json report.json

exit code: 0 nothing is wrong, 1 something was found, 2 the command was used wrongly
"""


def add_parser(subparsers: Any) -> None:
    """Add `audit` to the subcommands of an argparse parser; its `run` takes the arguments and returns the exit code."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "audit",
        help="look at a set of pictures before it costs a day",
        description="Look at a set of pictures: pairs, sizes, how LR was made, shifts between LR and HR, pictures\n"
        "that are there twice, and evaluation pictures among them, also resized, cropped, mirrored or recompressed.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="what data.root takes: HR pictures, or HR and LR in a layout")
    parser.add_argument(
        "--scale", type=int, nargs="+", default=[], metavar="N", help="scales of LR to look at (default: all there are)"
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        action="extend",
        metavar="FOLDER",
        help="evaluation sets whose pictures may not be among these",
    )
    parser.add_argument(
        "--resizing",
        choices=_STATED,
        help="how LR was made (default: by upnet.imaging.imresize with either border, the same for all pictures); "
        "any: only tell what fits best",
    )
    parser.add_argument(
        "--patch", type=int, default=32, metavar="N", help="data.patch of the training that is planned (default: 32)"
    )
    parser.add_argument("--json", type=expand_user, metavar="FILE", help="write the findings there as well")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Audit, print, and return the exit code."""
    try:
        return _run(arguments)
    except ValueError as mistake:
        print(f"audit: {mistake}", file=sys.stderr)
        return MISTAKEN


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    # torch and rich are wanted only now: the help doesn't wait for them.
    import io
    import json

    from rich.console import Console

    from upnet.audit.folder_audit import audit

    at_work()
    report = audit(
        arguments.folder,
        sorted(set(arguments.scale)),
        list(dict.fromkeys(arguments.against)),
        arguments.resizing or "imresize",
        arguments.patch,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console that cannot spell × gets a question mark
    show(report, Console(highlight=False))
    if arguments.json is not None:
        try:
            text = json.dumps(report.as_json(), indent=2, ensure_ascii=False, default=str)
            arguments.json.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise ValueError(f"the report cannot be written to {arguments.json}: {error.strerror or error}") from error
    return CLEAN if report.clean else FOUND


def _check(arguments: argparse.Namespace) -> None:
    """Raise ValueError for numbers out of range, and for a report that could not be written once all is done."""
    wrong = [scale for scale in arguments.scale if scale < 1]
    if wrong:
        raise ValueError(f"--scale must be a whole number, 1 or larger; got {wrong[0]}")
    if arguments.patch < 1:
        raise ValueError(f"--patch must be 1 or larger; got {arguments.patch}")
    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise ValueError(f"there is no folder {arguments.json.parent} to write the report into: make it first")
    if arguments.json is not None and arguments.json.is_dir():
        raise ValueError(f"--json {arguments.json} is a folder: name a file in it")
