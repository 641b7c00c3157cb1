"""`upnet data audit`: check an image set for defects and print a report."""

import argparse
import json
from collections import Counter
from itertools import zip_longest
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upnet.audit.finding import TITLES, Report, count_noun
from upnet.cli.arguments import check_output_file, integer_from
from upnet.cli.startup import FAILED, OK, ctrl_c_raises
from upnet.utils.paths import expand_user

_NO_FINDINGS = {
    "unreadable": "none",
    "pairs": "every HR image has its LR image",
    "sizes": "LR is HR / scale, and no image is too small",
    "resizing": "LR equals the expected resizing of HR",
    "shift": "less than 0.05 LR pixels",
    "duplicates": "none",
    "leakage": "none",
}


def show(report: Report, console: Console) -> None:
    """Print a table of the checks, then each finding with its consequence and cure."""
    scales = ", ".join(f"×{scale}" for scale in report.scales)
    lr = f", LR {scales}" if scales else ""
    console.print(f"\n[bold]{escape(report.folder)}[/bold]: {count_noun(report.image_count, 'HR image')}{lr}")
    console.print(_table(report))
    for kind, title in TITLES.items():
        findings = [finding for finding in report.findings if finding.kind == kind]
        if findings:
            console.print(f"\n[bold]{title}[/bold]")
        for finding, following in zip_longest(findings, findings[1:]):
            scale = f"×{finding.scale}: " if finding.scale else ""
            console.print(f"  [red]•[/red] {scale}{escape(finding.problem)}", soft_wrap=True)
            # Findings with the same consequence and cure share one explanation, after the last of them.
            if following is None or (following.consequence, following.cure) != (finding.consequence, finding.cure):
                console.print(f"    [dim]{escape(finding.consequence)}[/dim]", soft_wrap=True)
                console.print(f"    [green]→[/green] {escape(finding.cure)}", soft_wrap=True)
    if report.remarks:
        console.print("\n[bold]Remarks[/bold]")
        for remark in report.remarks:
            console.print(f"  • {escape(remark)}", soft_wrap=True)
    summary = "No defects found." if report.is_clean else f"{count_noun(len(report.findings), 'finding')}."
    console.print(f"\n[bold]{summary}[/bold]")


def _table(report: Report) -> Table:
    """One row per check: its title and its result."""
    counts = Counter(finding.kind for finding in report.findings)
    table = Table(box=None, pad_edge=False, show_header=False)
    for kind, title in TITLES.items():
        if kind in ("pairs", "resizing", "shift") and not report.scales:
            result = "[dim]no LR images[/dim]"
        elif kind == "leakage" and not report.evaluation_sets:
            result = "[dim]not checked: name the evaluation sets by --against FOLDER[/dim]"
        elif counts[kind]:
            result = f"[red]{count_noun(counts[kind], 'finding')}[/red]"
        else:
            result = f"[green]{_NO_FINDINGS[kind]}[/green]"
        table.add_row(f"  {title}", result)
    return table


_RESIZINGS = ("imresize-symmetric", "imresize-replicate", "any")

_EPILOG = """\
examples:
  upnet data audit DIV2K --scale 2 --against Set5 Set14
  upnet data audit Set5 --resizing imresize-replicate
  upnet data audit IMAGES --json report.json

exit code: 0 no findings, 1 findings, 2 wrong arguments
"""


def add_parser(subparsers: Any) -> None:
    """Add `audit` to the subcommands of an argparse parser; its `run` returns the exit code."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "audit",
        help="check an image set for defects",
        description="Check an image set: pairs, sizes, degradation of LR, shift between LR and HR, duplicates, and\n"
        "leakage of evaluation images. Resized, cropped, mirrored and recompressed copies are found, too.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="as data.root: HR images, or HR and LR images in folders")
    parser.add_argument(
        "--scale",
        type=integer_from(1, "--scale"),
        nargs="+",
        default=[],
        metavar="N",
        help="scales of LR to check (default: all)",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        action="extend",
        metavar="FOLDER",
        help="evaluation sets whose images must not be in FOLDER",
    )
    parser.add_argument(
        "--resizing",
        choices=_RESIZINGS,
        help="how LR was made (default: by upnet.imaging.imresize with either border, the same for all images); "
        "any: report the best fit only",
    )
    parser.add_argument(
        "--patch",
        type=integer_from(1, "--patch"),
        default=32,
        metavar="N",
        help="data.patch of the planned training (default: 32)",
    )
    parser.add_argument("--json", type=expand_user, metavar="FILE", help="also write the findings to FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Audit a folder and print the report. The exit code is 0 without findings, 1 with findings.

    Raises UserError if a folder cannot be audited or the JSON file cannot be written.
    """
    check_output_file(options.json)
    # Imported here because --help must not wait for torch.
    from upnet.audit.folder_audit import audit_folder
    from upnet.utils.atomic_io import atomic_write

    ctrl_c_raises()
    report = audit_folder(
        options.folder,
        sorted(set(options.scale)),
        list(dict.fromkeys(options.against)),
        options.resizing or "imresize",
        options.patch,
    )
    show(report, Console(highlight=False))
    if options.json is not None:
        atomic_write(json.dumps(report.as_json(), indent=2, ensure_ascii=False, default=str) + "\n", options.json)
    return OK if report.is_clean else FAILED
