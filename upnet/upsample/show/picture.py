"""The operators on a photograph, with their impulse responses and spectra: one figure, a row for each operator."""

import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from upnet.upsample.show.photograph import Pair, enlarge, load_pair, stretched
from upnet.upsample.show.response import LENGTH, impulse_response, level, spectrum
from upnet.upsample.show.specimen import Specimen

# All lengths in inches; 200 dots in each make the figure 2000 pixels wide.
DPI, WIDTH = 200, 10.0
MARGIN, SIDE, GAP, PITCH = 0.3, 1.66, 0.16, 1.84
FIRST_COLUMN = WIDTH - MARGIN - 4 * SIDE - 3 * GAP
HEADER, FOOTER = 0.95, 0.25
FLOOR = -60.0
REACH = 3.0
INK, FAINT, ACCENT = "#1a1a1a", "#666666", "#0f6fb8"

SHAPES = (
    "What becomes of one LR pixel. Red adds, blue takes away, white is zero. The grid is that of the LR pixels; the cross "
    "marks the pixel's centre, around which an operator without shift is symmetric."
)
PASSING = (
    "The spectrum of the impulse response, from −½ to ½ per HR pixel in each axis. Inside the dashed square lies what an "
    "LR picture can hold; beyond it, copies of that. What passes at a circle, a multiple of 1/s, puts a checkerboard on "
    "even areas."
)


def draw(specimens: Sequence[Specimen], scale: float, seed: int) -> Figure:
    """A figure of 2000 pixels' width: HR and LR at the top, then each specimen's output, response and spectra."""
    pair = load_pair(scale)
    sheet = _Sheet(rows=2 + len(specimens), scale=scale)
    lr_size = f"{pair.lr.shape[-1]} × {pair.lr.shape[-2]}"
    sheet.title(
        "What the upsampling operators make of the same pixels" if len(specimens) > 1 else specimens[0].name,
        f"Scale {scale:g}: {lr_size} pixels of a photograph, enlarged to {pair.hr.shape[-1]} × {pair.hr.shape[-2]}.",
    )
    sheet.words(0, "HR", "The picture as it was taken.", "")
    sheet.photograph(0, pair.hr, "picture")
    sheet.picture_spectrum(0, pair.hr, 1)
    sheet.words(1, "LR", "The same picture reduced: what every operator starts from.", "bicubic, antialiased")
    sheet.photograph(1, pair.lr, None)
    sheet.picture_spectrum(1, pair.lr, scale)
    sheet.legend(1, "impulse response", SHAPES, "RdBu_r", ("−", "0", "+"))
    sheet.legend(2, "frequencies that pass", PASSING, "magma", (f"{FLOOR:g} dB".replace("-", "−"), "", "0 dB"))
    for row, specimen in enumerate(specimens, start=2):
        _draw_specimen(sheet, row, specimen, pair, seed)
    return sheet.figure


def save(figure: Figure, path: Path, specimens: Sequence[Specimen]) -> tuple[int, int]:
    """Write a PNG under its final name once it is whole, and return its width and height in pixels."""
    half_written = path.with_name(f".{path.name}.{os.getpid()}.part")
    words = "; ".join(f"{specimen.name}: {specimen.sentence}" for specimen in specimens)
    try:
        with half_written.open("wb") as file:
            figure.savefig(
                file, format="png", dpi=DPI, metadata={"Title": "Upsampling operators", "Description": words}
            )
        half_written.replace(path)
    finally:
        half_written.unlink(missing_ok=True)
    width, height = figure.get_size_inches() * DPI
    return round(width), round(height)


def _draw_specimen(sheet: "_Sheet", row: int, specimen: Specimen, pair: Pair, seed: int) -> None:
    operator = specimen.operator
    output = enlarge(operator, pair)
    remark = ""
    if specimen.learnable:
        output, remark = stretched(output, pair.hr), f"Initial weights, seed {seed}; contrast set to that of HR."
    elif operator.requires:
        remark = "From the maxima of HR and their positions; the response moves with the position."
    sheet.words(row, specimen.name, specimen.sentence, specimen.code, remark)
    response = impulse_response(operator)
    sheet.photograph(row, output, None)
    sheet.response(row, response)
    sheet.frequencies(row, 2, level(response), 0.5)
    sheet.picture_spectrum(row, output, 1)


class _Sheet:
    """A figure laid out on a grid of four square cells a row, with words on the left."""

    def __init__(self, rows: int, scale: float) -> None:
        self.height = HEADER + rows * PITCH + FOOTER
        self.scale = scale
        self.figure = Figure(figsize=(WIDTH, self.height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self.figure)

    def title(self, large: str, small: str) -> None:
        self._text(MARGIN, 0.24, large, fontsize=15, fontweight="bold")
        self._text(MARGIN, 0.55, small, fontsize=9, color=FAINT)

    def words(self, row: int, name: str, sentence: str, code: str, remark: str = "") -> None:
        top = self._top(row)
        self._text(MARGIN, top, name, fontsize=11, fontweight="bold", color=ACCENT)
        body = fill(sentence, 37)
        self._text(MARGIN, top + 0.25, body, fontsize=7.5, linespacing=1.35)
        top += 0.25 + 0.142 * (1 + body.count("\n")) + 0.06
        code = fill(code, 40)
        self._text(MARGIN, top, code, fontsize=5.6, family="monospace", color=FAINT, linespacing=1.35)
        top += (0.11 * (1 + code.count("\n")) + 0.06) if code else 0
        self._text(MARGIN, top, fill(remark, 42), fontsize=6.5, style="italic", color=FAINT, linespacing=1.35)

    def legend(self, column: int, name: str, sentence: str, colours: str, ends: tuple[str, str, str]) -> None:
        """How a column is read, beside HR and LR, which have neither response nor gain."""
        left, top = self._left(column), self._top(0)
        self._text(left, top, name, fontsize=8.5, fontweight="bold")
        self._text(left, top + 0.22, fill(sentence, 31), fontsize=6.5, linespacing=1.4, color=INK)
        axes = self._axes(left, self._top(1) + SIDE - 0.34, SIDE, 0.1)
        axes.imshow(np.linspace(0, 1, 256)[None], cmap=colours, aspect="auto")
        for place, label, side in zip((0, SIDE / 2, SIDE), ends, ("left", "center", "right"), strict=True):
            self._text(left + place, self._top(1) + SIDE - 0.2, label, fontsize=6.5, color=FAINT, ha=side)

    def photograph(self, row: int, picture: Tensor, heading: str | None) -> None:
        axes = self._cell(row, 0)
        axes.imshow(picture.clamp(0, 1).permute(1, 2, 0).numpy(), interpolation="nearest")

    def response(self, row: int, response: Tensor) -> None:
        axes, strongest = self._cell(row, 1), float(response.abs().max())
        half = LENGTH / 2
        axes.imshow(
            response.numpy(),
            cmap="RdBu_r",
            vmin=-strongest,
            vmax=strongest,
            extent=(-half, -half + response.shape[1] / self.scale, -half + response.shape[0] / self.scale, -half),
            interpolation="nearest",
        )
        for line in np.arange(-REACH - 0.5, REACH + 1):
            axes.axhline(line, color="black", alpha=0.18, linewidth=0.4)
            axes.axvline(line, color="black", alpha=0.18, linewidth=0.4)
        axes.plot(0, 0, marker="+", color="black", markersize=5, markeredgewidth=0.7)
        axes.set(xlim=(-REACH, REACH), ylim=(REACH, -REACH))

    def picture_spectrum(self, row: int, picture: Tensor, scale: float) -> None:
        self.frequencies(row, 3, spectrum(picture), 0.5 / scale)

    def frequencies(self, row: int, column: int, decibels: Tensor, reach: float) -> None:
        """Levels in dB on frequencies up to `reach` per HR pixel, in a cell that goes up to a half."""
        axes, base = self._cell(row, column), 0.5 / self.scale
        axes.set_facecolor("#f2f2f2")
        extent = (-reach, reach, reach, -reach)
        axes.imshow(decibels.numpy(), cmap="magma", vmin=FLOOR, vmax=0, extent=extent, interpolation="nearest")
        axes.set(xlim=(-0.5, 0.5), ylim=(0.5, -0.5))
        if column == 2:
            axes.plot([-base, base, base, -base, -base], [-base, -base, base, base, -base], "--", color="white", lw=0.6)
            orders = [k / self.scale for k in range(-int(self.scale / 2), int(self.scale / 2) + 1)]
            circles = [(u, v) for u in orders for v in orders if (u, v) != (0, 0)]
            if circles:
                axes.scatter(
                    *zip(*circles, strict=True), s=22, facecolors="none", edgecolors="#35c4ff", lw=0.8, clip_on=False
                )

    def _top(self, row: int) -> float:
        return HEADER + row * PITCH

    def _left(self, column: int) -> float:
        return FIRST_COLUMN + column * (SIDE + GAP)

    def _cell(self, row: int, column: int) -> Axes:
        return self._axes(self._left(column), self._top(row), SIDE, SIDE)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        below = self.height - top - height
        axes = self.figure.add_axes(
            (left / WIDTH, below / self.height, width / WIDTH, height / self.height), xticks=[], yticks=[]
        )
        for spine in axes.spines.values():
            spine.set(linewidth=0.4, edgecolor="#999999")
        return axes

    def _text(self, left: float, top: float, words: str, color: str = INK, ha: str = "left", **style: object) -> None:
        self.figure.text(left / WIDTH, 1 - top / self.height, words, color=color, ha=ha, va="top", **style)
