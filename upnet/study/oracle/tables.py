"""The tables of the oracle, on a terminal and as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from upnet.evaluation.tables import table_console

WIDTH = 120
"""In characters, where the output is no terminal."""

_BORDERS = {"repeated": "borders replicated", "own": "borders padded by the operator"}

Content = Mapping[str, Any]
"""The content of the JSON file of `upnet study oracle`."""


def print_tables(content: Content) -> None:
    """Print a table per test set with a row per structure and a PSNR per scale."""
    console = table_console(WIDTH, highlight=False)
    headings = _headings(content)
    for test_set in _test_sets(content):
        table = Table(title=_title(content, test_set), title_justify="left", title_style="bold")
        for heading in headings:
            table.add_column(heading, justify="left" if heading == headings[0] else "right")
        for row in rows(content, test_set):
            table.add_row(*row)
        console.print(table)
    console.print(_legend(content), soft_wrap=True)


def markdown(content: Content) -> str:
    """The same tables as Markdown."""
    headings = _headings(content)
    parts = []
    for test_set in _test_sets(content):
        lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows(content, test_set)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"{_title(content, test_set)}\n\n{table}\n")
    return "\n".join([*parts, _legend(content) + "\n"])


def rows(content: Content, test_set: str) -> list[list[str]]:
    """Cells of each structure: name, taps and parameters by scale, and the mean PSNR on a test set at every scale."""
    structures_by_scale = [scale["structures"] for scale in content["scales"].values()]
    table_rows = []
    for entries in zip(*structures_by_scale, strict=True):
        taps = [f"{low}" if low == high else f"{low}–{high}" for low, high in (entry["taps"] for entry in entries)]
        parameters = [str(entry["parameters"] or "–") for entry in entries]
        psnr = [f"{float(entry['tests'][test_set]['psnr']):.2f}" for entry in entries]
        table_rows.append([entries[0]["structure"], _by_scale(taps), _by_scale(parameters), *psnr])
    return table_rows


def _by_scale(values: Sequence[str]) -> str:
    """The values of all scales, or their common value.

    >>> _by_scale(["4", "4"]), _by_scale(["4", "9"])
    ('4', '4 / 9')
    """
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def _headings(content: Content) -> list[str]:
    return ["structure", "LR taps per output pixel", "parameters", *(f"×{scale}" for scale in content["scales"])]


def _test_sets(content: Content) -> list[str]:
    return list(_first_scale(content)["test"])


def _first_scale(content: Content) -> Mapping[str, Any]:
    return next(iter(content["scales"].values()))


def _title(content: Content, test_set: str) -> str:
    first = _first_scale(content)
    protocol = first["protocol"]
    crop = _by_scale([str(scale["protocol"]["crop"]) for scale in content["scales"].values()])
    return (
        f"{test_set}: mean PSNR in dB over {first['test'][test_set]['pictures']} images "
        f"({protocol['name']}, channel {protocol['channel']}, crop {crop}, {_BORDERS[first['borders']]})"
    )


def _legend(content: Content) -> str:
    first = _first_scale(content)
    training_sets = " and ".join(first["train"])
    legend = f"Exact least-squares optimum on {first['trained_on']} images of {training_sets}."
    return (
        legend if len(content["scales"]) == 1 else f"{legend} Values separated by / are those of the scales in order."
    )
