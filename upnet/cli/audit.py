"""The command line of `upnet data audit`."""

import argparse
import json
from collections import Counter
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upnet.audit.finding import TITLES, Report
from upnet.cli.arguments import check_output_file, integer_from
from upnet.cli.startup import FAILED, OK, ctrl_c_raises
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


_STATED = ("imresize-symmetric", "imresize-replicate", "any")

_EPILOG = """\
examples:
  upnet data audit DIV2K --scale 2 --against Set5 Set14
  upnet data audit Set5 --resizing imresize-replicate
  upnet data audit PICTURES --json report.json

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
        "--scale",
        type=integer_from(1, "--scale"),
        nargs="+",
        default=[],
        metavar="N",
        help="scales of LR to look at (default: all there are)",
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
        "--patch",
        type=integer_from(1, "--patch"),
        default=32,
        metavar="N",
        help="data.patch of the training that is planned (default: 32)",
    )
    parser.add_argument("--json", type=expand_user, metavar="FILE", help="write the findings there as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Audit a folder, print the report, and return 0 without findings, 1 with findings.

    Raises UserError for folders that can't be audited and a JSON file that can't be written.
    """
    check_output_file(options.json)
    # torch is imported only now: the help doesn't wait for it.
    from upnet.audit.folder_audit import audit
    from upnet.utils.atomic_io import atomic_write

    ctrl_c_raises()
    report = audit(
        options.folder,
        sorted(set(options.scale)),
        list(dict.fromkeys(options.against)),
        options.resizing or "imresize",
        options.patch,
    )
    show(report, Console(highlight=False))
    if options.json is not None:
        atomic_write(json.dumps(report.as_json(), indent=2, ensure_ascii=False, default=str) + "\n", options.json)
    return OK if report.clean else FAILED
