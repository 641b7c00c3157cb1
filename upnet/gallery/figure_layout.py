"""The layout of the operator figure: square panels in four columns with text on their left.

Positions are in inches from the top left corner.
"""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

# At 200 dots per inch the figure is 2000 pixels wide and a panel 336. Each of the 84 × 84 image pixels is 4 × 4 dots.
DPI, WIDTH, MARGIN = 200, 10.0, 0.3
PANEL, GAP, ROW_HEIGHT = 1.68, 0.16, 1.86
HEADER, LEGEND, FOOTER = 1.14, 2.0, 0.15
FIRST_COLUMN = WIDTH - MARGIN - 4 * PANEL - 3 * GAP
BLACK, GREY, BLUE = "#1a1a1a", "#666666", "#0f6fb8"
SIGNED_COLORMAP, SPECTRUM_COLORMAP = "RdBu_r", "magma"
MIN_DB = -50.0
"""The level that is drawn in black."""
IMAGE_ROW = -1
"""The row of the images, above the descriptions of the columns; the rows of the operators are 0, 1, …"""
RESPONSE_RADIUS = 3
"""An impulse response is drawn from −3 to 3 LR pixels around the centre of the impulse."""


class FigureLayout:
    """A figure 2000 pixels wide: title, row of images, descriptions of the columns, and `rows` rows of operators.

    >>> layout = FigureLayout(rows=2, scale=2)
    >>> layout.title("Operators", "Scale 2")
    >>> [round(inches, 2) for inches in layout.figure.get_size_inches().tolist()]
    [10.0, 8.69]
    """

    def __init__(self, rows: int, scale: float) -> None:
        self.scale = scale
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

    def draw_image(self, row: int, column: int, image: Tensor) -> None:
        """Draw an image (3, H, W) in [0, 1], without interpolation."""
        axes = self._panel(row, column)
        axes.imshow(image.clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="nearest")

    def draw_impulse_response(self, row: int, column: int, response: Tensor) -> None:
        """Draw an impulse response (H, W) around the centre of the impulse, with the grid of the LR pixels.

        The impulse is in the centre of an odd number of LR pixels.
        """
        axes, maximum = self._panel(row, column), float(response.abs().max())
        half = round(response.shape[0] / self.scale) / 2
        extent = (-half, -half + response.shape[1] / self.scale, -half + response.shape[0] / self.scale, -half)
        axes.imshow(
            response.numpy(), cmap=SIGNED_COLORMAP, vmin=-maximum, vmax=maximum, extent=extent, interpolation="nearest"
        )
        for position in np.arange(-RESPONSE_RADIUS - 0.5, RESPONSE_RADIUS + 1):
            axes.axhline(position, color="black", alpha=0.18, linewidth=0.4)
            axes.axvline(position, color="black", alpha=0.18, linewidth=0.4)
        outline = [patheffects.withStroke(linewidth=1.8, foreground="white")]
        axes.plot(0, 0, marker="+", color="black", markersize=5, markeredgewidth=0.7, path_effects=outline)
        axes.set(xlim=(-RESPONSE_RADIUS, RESPONSE_RADIUS), ylim=(RESPONSE_RADIUS, -RESPONSE_RADIUS))

    def draw_spectrum(
        self, row: int, column: int, spectrum: Tensor, max_frequency: float = 0.5, mark_aliases: bool = False
    ) -> None:
        """Draw a spectrum (H, W) in dB, zero frequency in the centre, in a panel up to 0.5 cycles per HR pixel.

        max_frequency: the frequency at the border of the spectrum, in cycles per HR pixel.
        mark_aliases:  whether to mark the frequencies of LR by a square and the multiples of 1/s by circles.
        """
        axes = self._panel(row, column)
        axes.set_facecolor("#f2f2f2")
        extent = (-max_frequency, max_frequency, max_frequency, -max_frequency)
        axes.imshow(
            spectrum.numpy(), cmap=SPECTRUM_COLORMAP, vmin=MIN_DB, vmax=0, extent=extent, interpolation="nearest"
        )
        axes.set(xlim=(-0.5, 0.5), ylim=(0.5, -0.5))
        if mark_aliases:
            self._mark_aliases(axes)

    def _mark_aliases(self, axes: Axes) -> None:
        nyquist, highest = 0.5 / self.scale, int(self.scale / 2)
        corners = nyquist * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]])
        axes.plot(*corners.T, color="black", linewidth=0.9)
        axes.plot(*corners.T, color="white", linewidth=0.9, linestyle=(0, (3, 3)))
        multiples = np.arange(-highest, highest + 1) / self.scale
        points = np.array([(u, v) for u in multiples for v in multiples if (u, v) != (0, 0)]).reshape(-1, 2)
        # The diameter is at most half the distance of two circles.
        area = min(22.0, (36 * PANEL / self.scale) ** 2)
        axes.scatter(
            *points.T, s=area, facecolors="none", edgecolors="#2fb5f5", linewidths=0.9, clip_on=False, zorder=3
        )

    def _describe(self, left: float, name: str, description: str) -> None:
        top = HEADER + PANEL + 0.3
        self._text(left, top, name, 8.5, weight="bold")
        self._text(left, top + 0.2, description, 6.5)

    def _panel(self, row: int, column: int) -> Axes:
        return self._axes(_column_left(column), _row_top(row), PANEL, PANEL)

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
