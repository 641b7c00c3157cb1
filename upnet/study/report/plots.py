"""Plots as SVG, in colours that the page sets: the same drawing serves a light page, a dark one and paper."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from upnet.evaluation.figure_text import NO_MATH_TEXT, apply_fallback_fonts, escape_missing_glyphs
from upnet.study.report.curves import Curve
from upnet.study.statistics import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, TIE = "#0a0b0c", "#0a0b0d", "#0a0b0e"
"""Stand for the page's own colours, and are replaced by them."""

SERIES = 10
_SERIES = [f"#0b0c{number:02x}" for number in range(SERIES)]
_VARIABLES = {INK: "--ink", FAINT: "--faint", TIE: "--tie"} | {c: f"--s{n}" for n, c in enumerate(_SERIES)}
_MARKERS = "osD^vPX<>*"
_LINES = ("-", "--", ":", "-.")

WIDTH = 4.2
"""Of a plot, in inches: what stands next to each other on a desk and fills a phone."""

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


def forest_plot(found: Sequence[Comparison], reference: str, level: float) -> str:
    """Δ with its interval by arm. What is no difference is hollow, in the tie's colour, and says so beside it."""

    def draw(axis: "Axes") -> None:
        axis.axvline(0, color=INK, linewidth=1)
        for place, one in enumerate(found):
            sure = one.verdict in ("better", "worse")
            colour = _SERIES[0] if one.verdict == "better" else _SERIES[1] if sure else TIE
            if np.isfinite(one.interval).all():
                line = "-" if one.decided else ":"
                axis.plot(one.interval, [place, place], color=colour, linewidth=2, linestyle=line)
            axis.plot(
                one.difference, place, "s" if one.verdict == "worse" else "o", color=colour, markersize=7,
                markerfacecolor=colour if sure else "none", markeredgewidth=1.6,
            )  # fmt: skip
            axis.annotate(
                one.verdict.partition(":")[0], (1.01, place), xycoords=("axes fraction", "data"), va="center",
                fontsize=9, color=colour, annotation_clip=False,
            )  # fmt: skip
        axis.set_yticks(range(len(found)), [_short(one.arm) for one in found])
        axis.set_ylim(len(found) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"Δ PSNR against {reference} in dB, {level:.0%} interval")

    return _drawn(draw, 0.9 + 0.34 * len(found), "Δ PSNR by arm with intervals")


def learning_curves(curves: Mapping[str, Curve], order: Sequence[str], dataset: str) -> str:
    """Validation PSNR over steps: the mean over seeds, and the band between the worst seed and the best."""

    def draw(axis: "Axes") -> None:
        for name, found in curves.items():
            number = order.index(name)
            axis.fill_between(found.steps, found.low, found.high, color=_colour(number), alpha=0.18, linewidth=0)
            axis.plot(
                found.steps,
                found.mean,
                **_marked(number),
                linestyle=_line(number),
                linewidth=1.6,
                markersize=4,
                label=_in_legend(name),
            )
        # The first validations are far below what is of interest: the axis begins where the last two thirds lie.
        lows = np.concatenate([found.low[len(found.low) // 3 :] for found in curves.values()])
        highs = np.concatenate([found.high for found in curves.values()])
        margin = 0.08 * max(highs.max() - lows.min(), 0.01)
        axis.set_ylim(lows.min() - margin, highs.max() + margin)
        axis.set_xlabel("optimizer steps")
        axis.set_ylabel(f"PSNR on {dataset} in dB")
        _legend(axis, len(curves))

    return _drawn(draw, 3.6 + 0.19 * len(curves), f"PSNR on {dataset} over steps")


def cost_scatter(points: Sequence[Mapping[str, Any]], order: Sequence[str], what: str, label: str, dataset: str) -> str:
    """PSNR with its spread over seeds against a cost, on a logarithmic axis where it spans more than a factor of 4."""

    def draw(axis: "Axes") -> None:
        from matplotlib.ticker import EngFormatter, NullFormatter, StrMethodFormatter

        values = [point[what] for point in points]
        for point in points:
            number = order.index(point["name"])
            axis.errorbar(
                point[what],
                point["psnr"],
                yerr=point["psnr_sd"] or None,
                **_marked(number),
                markersize=8,
                linestyle="none",
                elinewidth=1.4,
                label=_in_legend(point["name"]),
            )
        if min(values) > 0 and max(values) > 4 * min(values):
            axis.set_xscale("log")
        else:
            axis.set_xlim(max(0.0, min(values) - 0.1 * max(values)), 1.08 * max(values))
            axis.locator_params(axis="x", nbins=5)
        if max(values) >= 10_000:
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        elif axis.get_xscale() == "log":
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))  # the usual one writes formulas
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(label)
        axis.set_ylabel(f"PSNR on {dataset} in dB")
        _legend(axis, len(points))

    return _drawn(draw, 3.3 + 0.19 * len(points), f"PSNR on {dataset} against {label}")


def strip_plot(differences: Mapping[str, Mapping[str, float]], order: Sequence[str], reference: str) -> str:
    """Δ of every picture, a mean over seeds, by arm; a stroke marks the mean over pictures."""

    def draw(axis: "Axes") -> None:
        axis.axvline(0, color=INK, linewidth=1)
        for place, (name, values) in enumerate(differences.items()):
            found = np.array(list(values.values()))
            number = order.index(name)
            # Side by side in a fixed order: pictures that lie close don't hide each other.
            offsets = 0.26 * (np.arange(len(found)) % 5 - 2) / 2
            axis.plot(found, place + offsets, **_marked(number), linestyle="none", markersize=4.5, alpha=0.75)
            axis.plot([found.mean()] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=2)
        axis.set_yticks(range(len(differences)), [_short(name) for name in differences])
        axis.set_ylim(len(differences) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"Δ PSNR against {reference} in dB, picture by picture")

    return _drawn(draw, 0.9 + 0.44 * len(differences), "Δ PSNR picture by picture")


def spectrum_plot(told: Mapping[str, tuple[np.ndarray, np.ndarray]], order: Sequence[str], scale: int) -> str:
    """Radial power beside HR's in dB; bicubic, where it is there, is a dotted line."""

    def draw(axis: "Axes") -> None:
        axis.axhline(0, color=INK, linewidth=1)
        axis.axvline(1 / (2 * scale), color=FAINT, linewidth=1, linestyle="--")
        for name, (frequencies, decibels) in told.items():
            number = order.index(name) if name in order else -1
            colour = TIE if number < 0 else _colour(number)
            line = ":" if number < 0 else _line(number)
            axis.plot(frequencies, decibels, color=colour, linewidth=1.5, linestyle=line, label=_in_legend(name))
        axis.annotate(
            "LR Nyquist",
            (1 / (2 * scale), 0.02),
            xycoords=("data", "axes fraction"),
            rotation=90,
            fontsize=8.5,
            ha="right",
            va="bottom",
        )
        axis.set_xlabel("frequency in cycles per HR pixel")
        axis.set_ylabel("power beside HR in dB")
        _legend(axis, len(told))

    return _drawn(draw, 3.3 + 0.19 * len(told), "radial power spectrum beside HR")


def _marked(number: int) -> dict[str, Any]:
    """Colour and marker of an arm; those of the second ten are hollow, so that no two arms look the same."""
    hollow = number // SERIES % 2 == 1
    return {"color": _colour(number), "marker": _MARKERS[number % SERIES], "fillstyle": "none" if hollow else "full"}


def _colour(number: int) -> str:
    return _SERIES[number % SERIES]


def _line(number: int) -> str:
    return _LINES[number // SERIES % len(_LINES)]


def _short(name: str) -> str:
    """A label of several lines where it is long: at its commas, or somewhere else."""
    import textwrap

    return escape_missing_glyphs("\n".join(textwrap.wrap(name, 24)[:3]))


def _in_legend(name: str) -> str:
    """The name of an arm; matplotlib leaves out of a legend what begins with an underscore."""
    return f" {name}" if name.startswith("_") else name


def _legend(axis: "Axes", count: int) -> None:
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2 if count > 3 else 1, borderaxespad=0)


def _drawn(draw: Callable[["Axes"], None], height: float, described: str) -> str:
    """An inline SVG without a size of its own, and its colours those of the page."""
    with _styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height))
        axis = figure.add_subplot()
        draw(axis)
        apply_fallback_fonts(figure)
        return _svg(figure, described)


@contextmanager
def _styled():
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def _svg(figure: "Figure", described: str) -> str:
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
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(described)}"', 1)


def prefix_ids(svg: str, prefix: str) -> str:
    """The same drawing with ids of its own, so that several stand in one page."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
