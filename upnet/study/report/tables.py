"""Tables of a report, and their conversion to Markdown, CSV and LaTeX."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from upnet.utils.csv import format_csv

Value = str | int | float | None


@dataclass(frozen=True)
class Cell:
    """A table cell: the text that is shown, and its unrounded value."""

    text: str
    value: Value = None

    @property
    def plain(self) -> Value:
        """The value, or the text if there is no value."""
        return self.text if self.value is None else self.value


@dataclass(frozen=True)
class Table:
    """A table with headings, rows and notes below it.

    name:    the stem of its file.
    numbers: the columns that hold numbers and are right-aligned.
    marks:   row number -> CSS class of the row.

    >>> table = Table("t", "PSNR", ["arm", "dB"], [[Cell("nearest"), Cell("32.0", 32.03)]], frozenset({1}))
    >>> print(to_csv(table).replace("\\r", ""), end="")
    arm,dB
    nearest,32.03
    """

    name: str
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()
    notes: Sequence[str] = ()
    marks: Mapping[int, str] | None = None


def to_markdown(table: Table) -> str:
    """The table as a pipe table of GitHub and pandoc, with title and notes."""
    lines = [f"**{escape_markdown(table.title)}**", "", _row(map(escape_markdown, table.headings))]
    lines.append(_row("---:" if number in table.numbers else ":---" for number in range(len(table.headings))))
    lines += [_row(escape_markdown(cell.text) for cell in row) for row in table.rows]
    for note in table.notes:
        lines += ["", escape_markdown(note)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """The headings and unrounded values as CSV."""
    return format_csv([table.headings, *([cell.plain for cell in row] for row in table.rows)])


def to_latex(table: Table) -> str:
    r"""The table as a LaTeX table environment; it needs the packages booktabs and graphicx."""
    columns = "".join("r" if number in table.numbers else "l" for number in range(len(table.headings)))
    body = [" & ".join(map(_tex, table.headings)) + r" \\", r"\midrule"]
    body += [" & ".join(_tex(cell.text) for cell in row) + r" \\" for row in table.rows]
    notes = [rf"\par\smallskip\footnotesize {_tex(note)}" for note in table.notes]
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{_tex(table.title)}}}",
            rf"\label{{tab:{re.sub('[^A-Za-z0-9]+', '-', table.name)}}}",
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def _row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def escape_markdown(text: str) -> str:
    """Escape text so that GitHub's and pandoc's Markdown show it literally.

    >>> escape_markdown("max_unpool")
    'max\\\\_unpool'
    """
    return re.sub(r"([\\`*_|\[\]~$])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")


def thousands(number: int) -> str:
    """The number with thin spaces between groups of three digits.

    >>> thousands(155907)
    '155\\u202f907'
    """
    return f"{number:,}".replace(",", "\u202f")


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # LaTeX reads a bracket after \\ as a length
    "]": "{]}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "−": "$-$",
    "–": "--",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "∞": r"$\infty$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "σ": r"$\sigma$",
    "…": r"\ldots{}",
    "\u202f": r"\,",
    "\u00a0": "~",
}


def _tex(text: str) -> str:
    chars = (_TEX.get(char, char) for char in text)
    return "".join("{}-" if char == previous == "-" else char for previous, char in pairwise(("", *chars)))
