"""A large sheet: squares in four columns, words on their left, laid out in inches from the top left corner."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

# At 200 dots an inch the sheet is 2000 pixels wide and a square 336, so that 84 pixels of a picture are 4 dots each.
DPI, WIDTH, MARGIN = 200, 10.0, 0.3
SIDE, GAP, PITCH = 1.68, 0.16, 1.86
HEADER, LEGEND, FOOTER = 1.14, 2.0, 0.15
FIRST_COLUMN = WIDTH - MARGIN - 4 * SIDE - 3 * GAP
INK, FAINT, ACCENT = "#1a1a1a", "#666666", "#0f6fb8"
SIGNED, LEVELS, FLOOR = "RdBu_r", "magma", -50.0
"""Colours of what has a sign, colours of levels in dB, and the level that is black."""
REACH = 3
"""How many LR pixels around its own an impulse response is drawn."""


class Sheet:
    """A figure of 2000 pixels' width: a title, a row of squares to start from, a legend, and `rows` rows."""

    def __init__(self, rows: int, scale: float) -> None:
        self.scale = scale
        self.height = HEADER + SIDE + LEGEND + rows * PITCH + FOOTER
        self.figure = Figure(figsize=(WIDTH, self.height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def title(self, large: str, small: str) -> None:
        """Two lines at the top."""
        self._text(MARGIN, 0.24, large, 15, weight="bold")
        self._text(MARGIN, 0.55, small, 9, FAINT)

    def caption(self, column: int, words: str) -> None:
        """One line over a square of the first row."""
        self._text(left_of(column), HEADER - 0.18, words, 8, weight="bold")

    def words(self, row: int, name: str, sentence: str, code: str = "", remark: str = "") -> None:
        """What stands on the left of a row; row −1 is the first, above the legend."""
        top = top_of(row)
        self._text(MARGIN, top - 0.02, name, 11, ACCENT, weight="bold")
        top += 0.23
        paragraphs = ((fill(sentence, 37), 7.5, INK, "normal"), (fill(code, 41), 5.6, FAINT, "mono"))
        for words, size, colour, kind in (*paragraphs, (fill(remark, 44), 6.5, FAINT, "italic")):
            if words:
                self._text(MARGIN, top, words, size, colour, mono=kind == "mono", italic=kind == "italic")
                top += 1.42 * size / 72 * (1 + words.count("\n")) + 0.06

    def legend(self, column: int, name: str, sentence: str, colours: str = "", ends: Sequence[str] = ()) -> None:
        """How a column is read, and its colours from one end to the other. Column −1 is that of the words."""
        left, top = left_of(column) if column >= 0 else MARGIN, HEADER + SIDE + 0.3
        self._text(left, top, name, 8.5, weight="bold")
        self._text(left, top + 0.2, fill(sentence, 32 if column >= 0 else 40), 6.5)
        if colours:
            bar = self._axes(left, HEADER + SIDE + LEGEND - 0.36, SIDE, 0.08)
            bar.imshow(np.linspace(0, 1, 256)[None], cmap=colours, aspect="auto")
            for place, label, side in zip((0, SIDE / 2, SIDE), ends, ("left", "center", "right"), strict=True):
                self._text(left + place, HEADER + SIDE + LEGEND - 0.25, label, 6.5, FAINT, side=side)

    def photograph(self, row: int, column: int, picture: Tensor) -> None:
        """A picture (3, H, W) in [0, 1], pixel by pixel."""
        axes = self._square(row, column)
        axes.imshow(picture.clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="nearest")

    def response(self, row: int, column: int, response: Tensor) -> None:
        """An impulse response (H, W) around the middle of the impulse's own LR pixel, on the grid of LR pixels."""
        axes, strongest = self._square(row, column), float(response.abs().max())
        # The impulse stands in the middle of as many LR pixels as were enlarged, an odd number.
        half = round(response.shape[0] / self.scale) / 2
        extent = (-half, -half + response.shape[1] / self.scale, -half + response.shape[0] / self.scale, -half)
        axes.imshow(
            response.numpy(), cmap=SIGNED, vmin=-strongest, vmax=strongest, extent=extent, interpolation="nearest"
        )
        for line in np.arange(-REACH - 0.5, REACH + 1):
            axes.axhline(line, color="black", alpha=0.18, linewidth=0.4)
            axes.axvline(line, color="black", alpha=0.18, linewidth=0.4)
        outline = [patheffects.withStroke(linewidth=1.8, foreground="white")]
        axes.plot(0, 0, marker="+", color="black", markersize=5, markeredgewidth=0.7, path_effects=outline)
        axes.set(xlim=(-REACH, REACH), ylim=(REACH, -REACH))

    def frequencies(self, row: int, column: int, levels: Tensor, reach: float = 0.5, marks: bool = False) -> None:
        """Levels in dB at frequencies up to `reach` per HR pixel, in a square that goes up to a half.

        With marks: the square of the frequencies an LR picture holds, and a circle at every multiple of 1/s.
        """
        axes = self._square(row, column)
        axes.set_facecolor("#f2f2f2")
        extent = (-reach, reach, reach, -reach)
        axes.imshow(levels.numpy(), cmap=LEVELS, vmin=FLOOR, vmax=0, extent=extent, interpolation="nearest")
        axes.set(xlim=(-0.5, 0.5), ylim=(0.5, -0.5))
        if not marks:
            return
        base, most = 0.5 / self.scale, int(self.scale / 2)
        corners = np.array([[-base, -base], [base, -base], [base, base], [-base, base], [-base, -base]])
        axes.plot(*corners.T, color="black", linewidth=0.9)
        axes.plot(*corners.T, color="white", linewidth=0.9, linestyle=(0, (3, 3)))
        orders = np.arange(-most, most + 1) / self.scale
        points = np.array([(u, v) for u in orders for v in orders if (u, v) != (0, 0)]).reshape(-1, 2)
        # Never wider than half the way to the next one.
        area = min(22.0, (36 * SIDE / self.scale) ** 2)
        axes.scatter(
            *points.T, s=area, facecolors="none", edgecolors="#2fb5f5", linewidths=0.9, clip_on=False, zorder=3
        )

    def _square(self, row: int, column: int) -> Axes:
        return self._axes(left_of(column), top_of(row), SIDE, SIDE)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        below = self.height - top - height
        box = (left / WIDTH, below / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box, xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(linewidth=0.4, edgecolor="#999999")
        return axes

    def _text(
        self,
        left: float,
        top: float,
        words: str,
        size: float,
        colour: str = INK,
        weight: str = "normal",
        side: str = "left",
        mono: bool = False,
        italic: bool = False,
    ) -> None:
        self.figure.text(
            left / WIDTH,
            1 - top / self.height,
            words,
            fontsize=size,
            color=colour,
            fontweight=weight,
            horizontalalignment=side,
            verticalalignment="top",
            family="monospace" if mono else "sans-serif",
            style="italic" if italic else "normal",
            linespacing=1.35,
        )


def left_of(column: int) -> float:
    """Where a column of squares begins, in inches from the left."""
    return FIRST_COLUMN + column * (SIDE + GAP)


def top_of(row: int) -> float:
    """Where a row begins, in inches from the top; row −1 is the first, above the legend."""
    return HEADER if row < 0 else HEADER + SIDE + LEGEND + row * PITCH
