"""The layout of the operator figure: square panels in four columns with text on their left.

Positions are in inches from the top left corner.
"""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# At 200 dots per inch the figure is 2000 pixels wide and a panel 336. Each of the 84 × 84 image pixels is 4 × 4 dots.
DPI, WIDTH, MARGIN = 200, 10.0, 0.3
PANEL, GAP, ROW_HEIGHT = 1.68, 0.16, 1.86
HEADER, LEGEND, FOOTER = 1.14, 2.0, 0.15
FIRST_COLUMN = WIDTH - MARGIN - 4 * PANEL - 3 * GAP
BLACK, GREY, BLUE = "#1a1a1a", "#666666", "#0f6fb8"
IMAGE_ROW = -1
"""The row of the images, above the descriptions of the columns; the rows of the operators are 0, 1, …"""


class FigureLayout:
    """A figure 2000 pixels wide: title, row of images, descriptions of the columns, and `rows` rows of operators.

    >>> layout = FigureLayout(rows=2)
    >>> layout.title("Operators", "Scale 2")
    >>> [round(inches, 2) for inches in layout.figure.get_size_inches().tolist()]
    [10.0, 8.69]
    """

    def __init__(self, rows: int) -> None:
        self.height = HEADER + PANEL + LEGEND + rows * ROW_HEIGHT + FOOTER
        self.figure = Figure(figsize=(WIDTH, self.height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def title(self, title: str, subtitle: str) -> None:
        """Write two lines at the top."""
        self._text(MARGIN, 0.24, title, 15, weight="bold")
        self._text(MARGIN, 0.55, subtitle, 9, GREY)

    def caption(self, column: int, text: str) -> None:
        """Write a line above a panel of the row of images."""
        self._text(_column_left(column), HEADER - 0.18, text, 8, weight="bold")

    def label_row(self, row: int, name: str, summary: str, code: str = "", remark: str = "") -> None:
        """Write the text on the left of a row."""
        top = _row_top(row)
        self._text(MARGIN, top - 0.02, name, 11, BLUE, weight="bold")
        top += 0.23
        paragraphs = ((fill(summary, 37), 7.5, BLACK, "normal"), (fill(code, 41), 5.6, GREY, "mono"))
        for text, size, colour, style in (*paragraphs, (fill(remark, 44), 6.5, GREY, "italic")):
            if text:
                self._text(MARGIN, top, text, size, colour, mono=style == "mono", italic=style == "italic")
                top += 1.42 * size / 72 * (1 + text.count("\n")) + 0.06

    def describe_operators(self, name: str, description: str) -> None:
        """Write the name and the description of the text on the left of the rows."""
        self._describe(MARGIN, name, fill(description, 40))

    def describe_column(
        self, column: int, name: str, description: str, colormap: str = "", ticks: Sequence[str] = ()
    ) -> None:
        """Write the name and the description of a column of panels, above the bar of its colormap, if any.

        ticks: the labels of the bar: left, centre, right.
        """
        left, top = _column_left(column), HEADER + PANEL + LEGEND
        self._describe(left, name, fill(description, 32))
        if colormap:
            bar = self._axes(left, top - 0.36, PANEL, 0.08)
            bar.imshow(np.linspace(0, 1, 256)[None], cmap=colormap, aspect="auto")
            for offset, label, alignment in zip((0, PANEL / 2, PANEL), ticks, ("left", "center", "right"), strict=True):
                self._text(left + offset, top - 0.25, label, 6.5, GREY, alignment=alignment)

    def panel(self, row: int, column: int) -> Axes:
        """Add a square panel."""
        return self._axes(_column_left(column), _row_top(row), PANEL, PANEL)

    def _describe(self, left: float, name: str, description: str) -> None:
        top = HEADER + PANEL + 0.3
        self._text(left, top, name, 8.5, weight="bold")
        self._text(left, top + 0.2, description, 6.5)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        box = (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box, xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(linewidth=0.4, edgecolor="#999999")
        return axes

    def _text(
        self,
        left: float,
        top: float,
        text: str,
        size: float,
        colour: str = BLACK,
        weight: str = "normal",
        alignment: str = "left",
        mono: bool = False,
        italic: bool = False,
    ) -> None:
        self.figure.text(
            left / WIDTH,
            1 - top / self.height,
            text,
            fontsize=size,
            color=colour,
            fontweight=weight,
            horizontalalignment=alignment,
            verticalalignment="top",
            family="monospace" if mono else "sans-serif",
            style="italic" if italic else "normal",
            linespacing=1.35,
        )


def _column_left(column: int) -> float:
    return FIRST_COLUMN + column * (PANEL + GAP)


def _row_top(row: int) -> float:
    return HEADER if row == IMAGE_ROW else HEADER + PANEL + LEGEND + row * ROW_HEIGHT
