"""The table of the oracle: for a terminal, and as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 120


def print_tables(content: Mapping[str, Any]) -> None:
    """A table per test set, a row per structure, a PSNR per scale."""
    console = Console(width=None if Console().is_terminal else WIDTH, highlight=False)
    headings = _headings(content)
    for name in _tests(content):
        table = Table(title=_title(content, name), title_justify="left", title_style="bold")
        for heading in headings:
            table.add_column(heading, justify="left" if heading == headings[0] else "right")
        for row in rows(content, name):
            table.add_row(*row)
        console.print(table)
    console.print(_legend(content), soft_wrap=True)


def markdown(content: Mapping[str, Any]) -> str:
    """The same tables for the documentation."""
    headings = _headings(content)
    parts = []
    for name in _tests(content):
        lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows(content, name)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"{_title(content, name)}\n\n{table}\n")
    return "\n".join([*parts, _legend(content) + "\n"])


def rows(content: Mapping[str, Any], test: str) -> list[list[str]]:
    """Structure, taps and parameters by scale, and the mean PSNR on a test set at every scale."""
    scales = list(content["scales"].values())
    listed = []
    for same in zip(*(scale["structures"] for scale in scales), strict=True):
        taps = [f"{low}" if low == high else f"{low}–{high}" for low, high in (one["taps"] for one in same)]
        parameters = [str(one["parameters"] or "–") for one in same]
        psnr = [f"{float(one['tests'][test]['psnr']):.2f}" for one in same]
        listed.append([same[0]["structure"], _by_scale(taps), _by_scale(parameters), *psnr])
    return listed


def _by_scale(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def _headings(content: Mapping[str, Any]) -> list[str]:
    return ["structure", "LR taps per output pixel", "parameters", *(f"×{scale}" for scale in content["scales"])]


def _tests(content: Mapping[str, Any]) -> list[str]:
    return list(_first(content)["test"])


def _first(content: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(content["scales"].values()))


def _title(content: Mapping[str, Any], test: str) -> str:
    first = _first(content)
    protocol = first["protocol"]
    crops = _by_scale([str(scale["protocol"]["crop"]) for scale in content["scales"].values()])
    return (
        f"{test}: mean PSNR in dB of {first['test'][test]['pictures']} pictures "
        f"({protocol['name']}, channel {protocol['channel']}, crop {crops}, {first['borders']} borders)"
    )


def _legend(content: Mapping[str, Any]) -> str:
    first = _first(content)
    names = " and ".join(first["train"])
    told = f"Exact least-squares optimum on {first['trained_on']} pictures of {names}."
    return told if len(content["scales"]) == 1 else f"{told} What differs by scale stands in the order of the scales."
