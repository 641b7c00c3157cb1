"""The plan of a study as text: a summary and a table, on the terminal and in plan.md."""

from collections.abc import Sequence

from rich.table import Table

from upnet.evaluation.results import write_json
from upnet.evaluation.tables import table_console
from upnet.study.design import MATCH_MODES
from upnet.study.plan import PLAN, Plan, PlannedVariant
from upnet.utils.atomic_io import atomic_write
from upnet.utils.lock import locked

HEADINGS = ("variant", "parameters", "mult-adds", "taps", "changed to match", "time per cell")
FOOTNOTE = "mult-adds: for an output of 1280×720 pixels; taps: LR pixels per output phase, at each location"
WIDTH = 140
"""Columns of a table that is not printed to a terminal."""


def write_plan(plan: Plan) -> None:
    """Write plan.json and plan.md into the study's folder."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    with locked(plan.folder / ".plan.lock", lambda: None):
        atomic_write(markdown(plan), plan.folder / "plan.md")
        write_json(plan.content(), plan.folder / PLAN)


def print_plan(plan: Plan) -> None:
    """Print the summary, the table of variants and the rejections."""
    console = table_console(WIDTH, highlight=False)
    console.print(summary(plan))
    table = Table(caption=FOOTNOTE, caption_justify="left")
    for heading in HEADINGS:
        is_text = heading in ("variant", "changed to match")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    for row in rows(plan):
        table.add_row(*row)
    console.print(table)
    for rejection in plan.rejections():
        console.print(f"rejected: {rejection}")


def markdown(plan: Plan) -> str:
    """The content of plan.md."""
    lines = [f"# {plan.design.name}", "", summary(plan), "", _line(HEADINGS), "|---|" + "---:|" * 3 + "---|---:|"]
    lines += [*map(_line, rows(plan)), "", FOOTNOTE, ""]
    if plan.rejections():
        lines += ["Rejected:", "", *(f"- {rejection}" for rejection in plan.rejections()), ""]
    lines += ["Code: " + ", ".join(f"{name} {value}" for name, value in plan.code.items()), ""]
    return "\n".join(lines)


def summary(plan: Plan) -> str:
    """The size of the study, what is matched, the reference and the expected duration."""
    design, minutes = plan.design, plan.minutes()
    factors = "".join(f" × {len(levels)} levels of {factor}" for factor, levels in design.factors.items())
    duration = "" if minutes is None else f" Expected duration on this machine: {format_duration(minutes)}."
    return (
        f"{design.name}: {len(plan.cells)} cells = {len(design.arms)} arms{factors} × {len(design.seeds)} seeds, "
        f"{plan.steps} steps each. Matching: {design.match} ({MATCH_MODES[design.match]}). "
        f"Reference: {design.reference}.{duration}"
    )


def rows(plan: Plan) -> list[list[str]]:
    """One row per variant, under HEADINGS."""
    return [_row(planned, planned.minutes(plan.steps, plan.validations)) for planned in plan.variants]


def format_duration(minutes: float) -> str:
    """A duration with two or three digits.

    >>> [format_duration(minutes) for minutes in (0.5, 2.44, 12, 210)]
    ['30 s', '2.4 min', '12 min', '3.5 h']
    """
    if minutes < 1.5:
        return f"{minutes * 60:.0f} s"
    if minutes < 10:
        return f"{minutes:.1f} min"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _row(planned: PlannedVariant, minutes: float | None) -> list[str]:
    taps = ["–" if count is None else str(count) for counts in planned.taps.values() for count in counts]
    changes = ", ".join(f"{path}={value}" for path, value in planned.changes.items())
    return [
        planned.variant.label,
        "–" if planned.parameters is None else f"{planned.parameters:,}".replace(",", " "),
        "–" if planned.multiply_adds is None else f"{planned.multiply_adds / 1e9:.2f} G",
        taps[0] if len(set(taps)) == 1 else ", ".join(taps) or "–",
        "rejected" if planned.rejection else changes or "nothing",
        "–" if minutes is None else format_duration(minutes),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
