"""The plan of a study: what each variant costs and what its regime changed, and every cell in its place.

plan.json, schema 1:

    {"schema": 1, "study": …, "regime": "N", "P", "F" or "S", "reference": ARM, "seeds": […],
     "steps": …, "validations": …, "factors": {FACTOR: [LEVEL, …]},
     "overrides": […],                what the command line said
     "code": {…},                     see upnet.study.code_version
     "variants": [{"arm": …, "levels": {FACTOR: LEVEL}, "parameters": …, "multiply_adds": for 1280 × 720 output pixels,
                   "taps": {PLACE: [LR taps per output phase of each operator there, null for unknown or all]},
                   "changes": {PATH: VALUE}, what the regime changed,
                   "refused": null or why the arm can't be compared,
                   "seconds": null or {"step": …, "validation": …, "beside": …}, measured}],
     "cells": [{"number": …, "key": …, "folder": below the study's, "arm": …, "levels": {…}, "seed": …}]}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from upnet.evaluation.results import write_json
from upnet.study.cells import Cell
from upnet.study.design import REGIMES, Design, Variant
from upnet.utils.atomic_io import atomic_write
from upnet.utils.lock import locked

SCHEMA = 1
PLAN = "plan.json"


@dataclass(frozen=True)
class Seconds:
    """What was measured on this machine: seconds per optimizer step, per validation, and beside them per cell."""

    step: float
    validation: float
    beside: float


@dataclass
class Row:
    """A variant as it is planned.

    parameters, multiply_adds: after the regime; None where the network can't be built.
    taps:    by place, the LR taps per output phase of each operator there.
    changes: by path in the config, the value that the regime gave a setting.
    refused: why this arm can't be trained, or not be compared in this regime; None where it can.
    """

    variant: Variant
    parameters: int | None = None
    multiply_adds: int | None = None
    taps: Mapping[str, Sequence[int | None]] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None
    seconds: Seconds | None = None

    def minutes(self, steps: int, validations: int) -> float | None:
        """What one cell of it will take; None where nothing was measured."""
        if self.seconds is None:
            return None
        return (self.seconds.step * steps + self.seconds.validation * validations + self.seconds.beside) / 60


@dataclass
class Plan:
    """A study, ready to be run."""

    folder: Path
    design: Design
    steps: int
    validations: int
    overrides: Sequence[str]
    code: Mapping[str, str]
    rows: Sequence[Row]
    cells: Sequence[Cell]

    def row(self, cell: Cell) -> Row:
        """The variant of a cell."""
        return next(row for row in self.rows if row.variant.label == cell.label)

    def refusals(self) -> list[str]:
        """A sentence for every variant that can't be had."""
        return [f"{row.variant.label}: {row.refused}" for row in self.rows if row.refused is not None]

    def minutes(self) -> float | None:
        """What all cells take on this machine one after the other; None where something wasn't measured."""
        each = [row.minutes(self.steps, self.validations) for row in self.rows if row.refused is None]
        if not each or None in each:
            return None
        return sum(one for one in each if one is not None) * len(self.design.seeds)

    def content(self) -> dict[str, Any]:
        """As plan.json has it."""
        design = self.design
        return {
            "schema": SCHEMA,
            "study": design.name,
            "regime": design.regime,
            "reference": design.reference,
            "seeds": list(design.seeds),
            "steps": self.steps,
            "validations": self.validations,
            "factors": {factor: list(levels) for factor, levels in design.factors.items()},
            "overrides": list(self.overrides),
            "code": dict(self.code),
            "variants": [
                {
                    "arm": row.variant.arm,
                    "levels": dict(row.variant.levels),
                    "parameters": row.parameters,
                    "multiply_adds": row.multiply_adds,
                    "taps": {place: list(counts) for place, counts in row.taps.items()},
                    "changes": dict(row.changes),
                    "refused": row.refused,
                    "seconds": None if row.seconds is None else vars(row.seconds),
                }
                for row in self.rows
            ],
            "cells": [
                {
                    "number": cell.number,
                    "key": cell.key,
                    "folder": str(cell.folder.relative_to(self.folder)),
                    "arm": cell.arm,
                    "levels": dict(cell.levels),
                    "seed": cell.seed,
                }
                for cell in self.cells
            ],
        }

    def write(self) -> None:
        """plan.json and plan.md, in the study's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".plan.lock", lambda: None):
            atomic_write(self.markdown(), self.folder / "plan.md")
            write_json(self.content(), self.folder / PLAN)

    def summary(self) -> str:
        """The study in one sentence or two."""
        design, minutes = self.design, self.minutes()
        factors = "".join(f" × {len(levels)} of {factor}" for factor, levels in design.factors.items())
        time = "" if minutes is None else f" About {duration(minutes)} on this machine, one cell after the other."
        return (
            f"{design.name}: {len(self.cells)} cells = {len(design.arms)} arms{factors} × {len(design.seeds)} seeds, "
            f"{self.steps} steps each. Regime {design.regime}, {REGIMES[design.regime]}; "
            f"the reference is {design.reference}.{time}"
        )

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and a row of text for every variant."""
        headings = ["variant", "parameters", "mult-adds", "taps", "changed by the regime", "per cell"]
        return headings, [_texts(row, row.minutes(self.steps, self.validations)) for row in self.rows]

    def markdown(self) -> str:
        """The plan as plan.md has it."""
        headings, rows = self.table()
        lines = [f"# {self.design.name}", "", self.summary(), "", "| " + " | ".join(headings) + " |"]
        lines.append("|---|" + "---:|" * 3 + "---|---:|")
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines += ["", FOOTNOTE, ""]
        if self.refusals():
            lines += ["Refused:", "", *(f"- {refusal}" for refusal in self.refusals()), ""]
        lines += ["Code: " + ", ".join(f"{name} {value}" for name, value in self.code.items()), ""]
        return "\n".join(lines)

    def print(self) -> None:
        """The plan on the terminal."""
        console = Console(width=None if Console().is_terminal else 140, markup=False, emoji=False, highlight=False)
        console.print(self.summary())
        headings, rows = self.table()
        table = Table(caption=FOOTNOTE, caption_justify="left")
        for number, heading in enumerate(headings):
            table.add_column(heading, justify="right" if number in (1, 2, 3, 5) else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        for refusal in self.refusals():
            console.print(f"refused: {refusal}")


FOOTNOTE = "mult-adds: true ones, for an output of 1280×720; taps: LR pixels per output phase, place by place"


def duration(minutes: float) -> str:
    """`40 s`, `2.4 min`, `12 min` or `3.5 h`."""
    if minutes < 1.5:
        return f"{minutes * 60:.0f} s"
    if minutes < 10:
        return f"{minutes:.1f} min"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _texts(row: Row, minutes: float | None) -> list[str]:
    counts = [str("–" if count is None else count) for counts in row.taps.values() for count in counts]
    return [
        row.variant.label,
        "–" if row.parameters is None else f"{row.parameters:,}".replace(",", " "),
        "–" if row.multiply_adds is None else f"{row.multiply_adds / 1e9:.2f} G",
        counts[0] if len(set(counts)) == 1 else ", ".join(counts) or "–",
        "refused" if row.refused else ", ".join(f"{path}={value}" for path, value in row.changes.items()) or "nothing",
        "–" if minutes is None else duration(minutes),
    ]
