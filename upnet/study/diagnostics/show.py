"""The table of the diagnostics, with unit and direction, and the same as plain data."""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from upnet.study.diagnostics.measuring import Values, describe

WIDTH = 110
_ARROWS = {"higher": "↑", "lower": "↓", None: ""}
# From ten thousand on: up to there a number is read as it stands.
_PREFIXES = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))


def print_table(title: str, values: Values, notes: list[str]) -> None:
    """A row per scalar diagnostic: value, unit, and which way is better."""
    console = Console(width=None if Console().is_terminal else WIDTH, highlight=False)
    console.print(title, style="bold", markup=False, emoji=False, soft_wrap=True)
    table = Table()
    table.add_column("diagnostic")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("better")
    for row in rows(values):
        table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(note, style="dim", markup=False, emoji=False, soft_wrap=True)


def rows(values: Values) -> list[list[str]]:
    """Heading, value, unit and direction of each scalar diagnostic, as a table has them."""
    told = describe(values)
    listed = []
    for name, value in values.items():
        if isinstance(value, float):
            better = told[name]["better"]
            unit = "–" if told[name]["unit"] == "1" else told[name]["unit"]
            listed.append([told[name]["heading"], number(value), unit, f"{_ARROWS[better]} {better or '–'}".strip()])
    return listed


def number(value: float) -> str:
    """Four digits that can be read: 0.7512, 3.1e-07, 1891, 88.31 k, inf, and – for what isn't a number."""
    if math.isnan(value):
        return "–"
    if math.isinf(value) or value == 0:
        return f"{value:.0f}"
    for start, size, prefix in _PREFIXES:
        if abs(value) >= start:
            return f"{value / size:.4g} {prefix}"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.4g}"


def plain(values: Values) -> dict[str, Any]:
    """Values beside their units, directions, formulas and sources; inf is the word, as in results.json, nan is null."""
    told: Mapping[str, dict[str, Any]] = describe(values)
    return {name: {"value": _plain(value), **told[name]} for name, value in values.items()}


def _plain(value: float | list) -> Any:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value
