"""The plots of a report as SVG: forest, learning curves, cost scatter, strip and spectrum plot.

In all of them `order` lists the names of the arms: the index in it determines colour, marker and line style.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from upnet.evaluation.figure_text import escape_missing_glyphs
from upnet.study.report.curves import Curve
from upnet.study.report.svg import (
    FAINT,
    INK,
    SERIES_COLOURS,
    TIE,
    draw_svg,
    series_colour,
    series_line,
    series_marker,
)
from upnet.study.statistics import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forest_plot(comparisons: Sequence[Comparison], reference: str, level: float) -> str:
    """Δ PSNR in dB with its interval by arm; ties and undecided comparisons are hollow and grey."""

    def draw(axis: "Axes") -> None:
        axis.axvline(0, color=INK, linewidth=1)
        for row, comparison in enumerate(comparisons):
            significant = comparison.verdict in ("better", "worse")
            colour = TIE if not significant else SERIES_COLOURS[0 if comparison.verdict == "better" else 1]
            if np.isfinite(comparison.interval).all():
                line = "-" if comparison.decided else ":"
                axis.plot(comparison.interval, [row, row], color=colour, linewidth=2, linestyle=line)
            axis.plot(
                comparison.difference, row, "s" if comparison.verdict == "worse" else "o", color=colour, markersize=7,
                markerfacecolor=colour if significant else "none", markeredgewidth=1.6,
            )  # fmt: skip
            axis.annotate(
                comparison.verdict.partition(":")[0], (1.01, row), xycoords=("axes fraction", "data"), va="center",
                fontsize=9, color=colour, annotation_clip=False,
            )  # fmt: skip
        _label_rows(axis, [comparison.arm for comparison in comparisons])
        axis.set_xlabel(f"Δ PSNR against {reference} in dB, {level:.0%} interval")

    return draw_svg(draw, 0.9 + 0.34 * len(comparisons), "Δ PSNR by arm with intervals")


def learning_curves(curves: Mapping[str, Curve], order: Sequence[str], dataset: str) -> str:
    """Validation PSNR in dB over steps: the mean over seeds, and a band from the lowest to the highest seed."""

    def draw(axis: "Axes") -> None:
        for name, curve in curves.items():
            index = order.index(name)
            axis.fill_between(curve.steps, curve.low, curve.high, color=series_colour(index), alpha=0.18, linewidth=0)
            axis.plot(
                curve.steps,
                curve.mean,
                **series_marker(index),
                linestyle=series_line(index),
                linewidth=1.6,
                markersize=4,
                label=_legend_label(name),
            )
        # The first validations are far below the rest: the axis starts at the lowest of the last two thirds.
        lows = np.concatenate([curve.low[len(curve.low) // 3 :] for curve in curves.values()])
        highs = np.concatenate([curve.high for curve in curves.values()])
        margin = 0.08 * max(highs.max() - lows.min(), 0.01)
        axis.set_ylim(lows.min() - margin, highs.max() + margin)
        axis.set_xlabel("optimizer steps")
        axis.set_ylabel(f"PSNR on {dataset} in dB")
        _legend(axis, len(curves))

    return draw_svg(draw, 3.6 + 0.19 * len(curves), f"PSNR on {dataset} over steps")


def cost_scatter(points: Sequence[Mapping[str, Any]], order: Sequence[str], cost: str, label: str, dataset: str) -> str:
    """PSNR in dB against a cost, with the standard deviation over seeds; logarithmic above a cost ratio of 4.

    points: mappings with `name`, `psnr`, `psnr_sd` and the cost by its name.
    label:  of the cost axis.
    """

    def draw(axis: "Axes") -> None:
        from matplotlib.ticker import EngFormatter, NullFormatter, StrMethodFormatter

        costs = [point[cost] for point in points]
        for point in points:
            axis.errorbar(
                point[cost],
                point["psnr"],
                yerr=point["psnr_sd"] or None,
                **series_marker(order.index(point["name"])),
                markersize=8,
                linestyle="none",
                elinewidth=1.4,
                label=_legend_label(point["name"]),
            )
        if min(costs) > 0 and max(costs) > 4 * min(costs):
            axis.set_xscale("log")
        else:
            axis.set_xlim(max(0.0, min(costs) - 0.1 * max(costs)), 1.08 * max(costs))
            axis.locator_params(axis="x", nbins=5)
        if max(costs) >= 10_000:
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        elif axis.get_xscale() == "log":
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))  # the default formatter writes math text
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel(label)
        axis.set_ylabel(f"PSNR on {dataset} in dB")
        _legend(axis, len(points))

    return draw_svg(draw, 3.3 + 0.19 * len(points), f"PSNR on {dataset} against {label}")


def strip_plot(differences: Mapping[str, Mapping[str, float]], order: Sequence[str], reference: str) -> str:
    """Δ PSNR in dB of every image by arm; a vertical line marks the mean over images."""

    def draw(axis: "Axes") -> None:
        axis.axvline(0, color=INK, linewidth=1)
        for row, (name, by_image) in enumerate(differences.items()):
            values = np.array(list(by_image.values()))
            # Offsets in a fixed order keep markers of similar values apart.
            offsets = 0.26 * (np.arange(len(values)) % 5 - 2) / 2
            marker = series_marker(order.index(name))
            axis.plot(values, row + offsets, **marker, linestyle="none", markersize=4.5, alpha=0.75)
            axis.plot([values.mean()] * 2, [row - 0.4, row + 0.4], color=INK, linewidth=2)
        _label_rows(axis, list(differences))
        axis.set_xlabel(f"Δ PSNR against {reference} in dB, per image")

    return draw_svg(draw, 0.9 + 0.44 * len(differences), "Δ PSNR per image")


def spectrum_plot(spectra: Mapping[str, tuple[np.ndarray, np.ndarray]], order: Sequence[str], scale: int) -> str:
    """Radial power spectrum relative to HR; names that are not in `order`, as bicubic, get a dotted grey line.

    spectra: name -> (frequencies in cycles per HR pixel, power relative to HR in dB), both (K,).
    """

    def draw(axis: "Axes") -> None:
        axis.axhline(0, color=INK, linewidth=1)
        axis.axvline(1 / (2 * scale), color=FAINT, linewidth=1, linestyle="--")
        for name, (frequencies, decibels) in spectra.items():
            index = order.index(name) if name in order else None
            colour = TIE if index is None else series_colour(index)
            line = ":" if index is None else series_line(index)
            axis.plot(frequencies, decibels, color=colour, linewidth=1.5, linestyle=line, label=_legend_label(name))
        axis.annotate(
            "LR Nyquist", (1 / (2 * scale), 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=8.5,
            ha="right", va="bottom",
        )  # fmt: skip
        axis.set_xlabel("frequency in cycles per HR pixel")
        axis.set_ylabel("power relative to HR in dB")
        _legend(axis, len(spectra))

    return draw_svg(draw, 3.3 + 0.19 * len(spectra), "radial power spectrum relative to HR")


def _label_rows(axis: "Axes", names: Sequence[str]) -> None:
    """Label rows from top to bottom; long names are wrapped."""
    import textwrap

    labels = [escape_missing_glyphs("\n".join(textwrap.wrap(name, 24)[:3])) for name in names]
    axis.set_yticks(range(len(names)), labels)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)


def _legend_label(name: str) -> str:
    """The name of an arm; matplotlib omits names that start with an underscore from legends."""
    return f" {name}" if name.startswith("_") else name


def _legend(axis: "Axes", count: int) -> None:
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2 if count > 3 else 1, borderaxespad=0)
