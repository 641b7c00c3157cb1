"""A table once, and the same one as Markdown, CSV and LaTeX; the page shows it as HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from upnet.utils.csv import format_csv

Value = str | int | float | None


@dataclass(frozen=True)
class Cell:
    """What a reader sees, and what a program gets: the same value, not rounded."""

    text: str
    value: Value = None

    @property
    def plain(self) -> Value:
        """The value, or the text where there is nothing behind it."""
        return self.text if self.value is None else self.value


@dataclass(frozen=True)
class Table:
    """Headings, rows of as many cells, and what has to stand below.

    name:    of its files.
    numbers: which columns hold numbers, and are set flush right.
    marks:   by row number, a word that the page may style it by.
    """

    name: str
    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()
    notes: Sequence[str] = ()
    marks: Mapping[int, str] | None = None


def to_markdown(table: Table) -> str:
    """A pipe table under its title, as GitHub and pandoc read it."""
    lines = [f"**{escape_markdown(table.title)}**", "", _row(map(escape_markdown, table.headings))]
    lines.append(_row("---:" if number in table.numbers else ":---" for number in range(len(table.headings))))
    lines += [_row(escape_markdown(cell.text) for cell in row) for row in table.rows]
    for note in table.notes:
        lines += ["", escape_markdown(note)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """CSV of the values as they are, with a heading."""
    return format_csv([table.headings, *([cell.plain for cell in row] for row in table.rows)])


def to_latex(table: Table) -> str:
    r"""A table environment with booktabs' rules; it needs `\usepackage{booktabs}`, and `graphicx` for its width."""
    form = "".join("r" if number in table.numbers else "l" for number in range(len(table.headings)))
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
            rf"\begin{{tabular}}{{{form}}}",
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
    """Text that Markdown shows as it is, with the tables and formulas of GitHub and pandoc."""
    return re.sub(r"([\\`*_|\[\]~$])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after \\ a bracket would be taken for a length
    "]": "{]}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
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
    signs = (_TEX.get(sign, sign) for sign in text)
    return "".join("{}-" if sign == before == "-" else sign for before, sign in pairwise(("", *signs)))
