"""A report as a newcomer reads it."""

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upnet.data.audit.finding import TITLES, Report

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
