"""Matplotlib drawings as inline SVG whose colours are CSS variables, for light pages, dark pages and print.

matplotlib does not support CSS variables: drawings use placeholder colours, which are replaced in the SVG text.
"""

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from upnet.evaluation.figure_text import NO_MATH_TEXT, apply_fallback_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, TIE = "#0a0b0c", "#0a0b0d", "#0a0b0e"
"""Placeholders for the page's colours of text, grid lines and undecided comparisons."""

SERIES_COLOURS = [f"#0b0c{number:02x}" for number in range(10)]
"""Placeholders for the page's colours of data series."""

WIDTH = 4.2
"""Width of a plot in inches: two fit side by side on a desktop screen, one fills a phone."""

_MARKERS = "osD^vPX<>*"
_LINES = ("-", "--", ":", "-.")
_VARIABLES = {INK: "--ink", FAINT: "--faint", TIE: "--tie"} | {c: f"--s{n}" for n, c in enumerate(SERIES_COLOURS)}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "upnet",
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "axes.formatter.limits": (-4, 4),
    "axes.formatter.useoffset": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **NO_MATH_TEXT,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def draw_svg(draw: Callable[["Axes"], None], height: float, label: str) -> str:
    """An inline SVG without fixed size, in the page's colours.

    draw:   draws into the axes.
    height: of the figure in inches.
    label:  describes the plot to screen readers.

    >>> svg = draw_svg(lambda axes: axes.plot([0, 1], color=series_colour(0)), height=2, label="a line")
    >>> svg[:40], "var(--s0)" in svg
    ('<svg role="img" aria-label="a line" view', True)
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height))
        draw(figure.add_subplot())
        apply_fallback_fonts(figure)
        return _to_svg(figure, label)


def series_colour(index: int) -> str:
    """The colour of the data series of an index; colours repeat after ten."""
    return SERIES_COLOURS[index % len(SERIES_COLOURS)]


def series_line(index: int) -> str:
    """The line style of a data series: it changes where the colours repeat."""
    return _LINES[index // len(SERIES_COLOURS) % len(_LINES)]


def series_marker(index: int) -> dict[str, Any]:
    """Colour and marker of a data series; markers of the second ten are hollow, so that no two series look alike."""
    hollow = index // len(SERIES_COLOURS) % 2 == 1
    marker = _MARKERS[index % len(SERIES_COLOURS)]
    return {"color": series_colour(index), "marker": marker, "fillstyle": "none" if hollow else "full"}


def prefix_ids(svg: str, prefix: str) -> str:
    """Prefix all ids, so that several drawings can be inlined in one page.

    >>> prefix_ids('<path id="a"/><use href="#a"/>', "p1")
    '<path id="p1-a"/><use href="#p1-a"/>'
    """
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)


def _to_svg(figure: "Figure", label: str) -> str:
    from html import escape

    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.06, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
