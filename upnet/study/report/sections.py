"""The section of a report on one data set: findings, the table of arms, plots and the table of images."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from upnet.evaluation.compatibility import footnote, protocol_label
from upnet.evaluation.optional_output import optional_output
from upnet.study.report.arms import ReportedStudy
from upnet.study.report.commentary import comparison_sentences, comparison_summary, untrained_arms
from upnet.study.report.comparisons import DatasetComparisons, compare_with_reference, image_differences
from upnet.study.report.content import Plot, Section
from upnet.study.report.curves import Curve, curve
from upnet.study.report.plots import cost_scatter, forest_plot, learning_curves, strip_plot
from upnet.study.report.tables import Cell, Table, thousands
from upnet.study.run_table import remarks, rows
from upnet.study.statistics import Comparison
from upnet.study.statistics.verdicts import format_difference, format_signed, limitations

HEADINGS = ("arm", "match", "parameters", "multiply-adds", "taps", "seeds", "PSNR in dB", "± sd", "SSIM", "± sd")
COLUMN_NOTES = (
    "Multiply-adds: for an output of 1280×720 pixels. Taps: LR pixels that contribute to one output phase of the "
    "operator, per place; – if their number is not fixed. sd: standard deviation over seeds. Δ: PSNR of the arm − PSNR "
    "of the reference. Verdicts are corrected for the number of arms by Holm's method; intervals are not corrected."
)

Rows = Mapping[str, Mapping[str, Any]]
"""Name of an arm -> its means, as `upnet.study.run_table.rows` returns them."""


def dataset_section(
    study: ReportedStudy, dataset: str, taps: Mapping[str, str], latency: Mapping[str, float], conditions: str
) -> Section:
    """The section on a data set.

    taps, latency: number of taps, and latency in ms, by arm.
    conditions:    under which latency was measured.
    """
    arms = [entry.arm for entry in study.entries]
    by_name = dict(zip([entry.name for entry in study.entries], rows(arms, dataset), strict=True))
    data = _Data(study, dataset, compare_with_reference(study, dataset), by_name, image_differences(study, dataset))
    families = data.comparisons.families
    means = {name: float(row["psnr"]) for name, row in by_name.items()}
    results = arms[0].runs[0].results
    return Section(
        dataset=dataset,
        protocol=f"{protocol_label(results)}; {footnote(results, dataset)}",
        findings=[
            *comparison_summary(dataset, data.comparisons.by_arm, means),
            *untrained_arms(study, dataset),
            *(sentence for family in families for sentence in comparison_sentences(family)),
        ],
        limits=[
            *data.comparisons.remarks,
            *remarks(arms, dataset),
            *dict.fromkeys(limit for family in families for limit in limitations(family)),
        ],
        table=_arm_table(data, taps, latency, conditions),
        plots=_plots(data, latency),
        image_table=_image_table(data) if data.differences else None,
    )


@dataclass(frozen=True)
class _Data:
    """The numbers of a section. differences: by arm and image, in dB against the reference."""

    study: ReportedStudy
    dataset: str
    comparisons: DatasetComparisons
    rows: Rows
    differences: Mapping[str, Mapping[str, float]]


def _arm_table(data: _Data, taps: Mapping[str, str], latency: Mapping[str, float], conditions: str) -> Table:
    study, dataset, by_arm = data.study, data.dataset, data.comparisons.by_arm
    level = next((f"{comparison.level:.0%}" for comparison in by_arm.values()), "95%")
    cells: list[list[Cell]] = []
    for entry in study.entries:
        row, several = data.rows[entry.name], len(entry.arm.runs) > 1
        difference, verdict = _difference_and_verdict(by_arm.get(entry.name), entry.is_reference)
        cells.append(
            [
                Cell(entry.name),
                Cell(study.match),
                Cell(thousands(int(row["parameters"])), int(row["parameters"])),
                Cell(f"{int(row['multiply_adds']) / 1e9:.2f} G", int(row["multiply_adds"])),
                Cell(taps[entry.name]),
                Cell(str(row["seeds"]), int(row["seeds"])),
                Cell(f"{row['psnr']:.3f}", row["psnr"]),
                Cell(f"{row['psnr_sd']:.3f}", row["psnr_sd"]) if several else Cell("–"),
                Cell(f"{row['ssim']:.4f}", row["ssim"]),
                Cell(f"{row['ssim_sd']:.4f}", row["ssim_sd"]) if several else Cell("–"),
                Cell(difference),
                Cell(verdict),
                Cell(f"{latency[entry.name]:.1f}", latency[entry.name]),
            ]
        )
    arms = [entry.arm for entry in study.entries]
    results = arms[0].runs[0].results
    return Table(
        name=f"main-{dataset}",
        title=f"{dataset}: results of the arms of {study.name}",
        headings=[*HEADINGS, f"Δ in dB [{level} interval]", "verdict", "latency in ms"],
        rows=cells,
        numbers=frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12}),
        notes=[
            COLUMN_NOTES,
            f"Latency: {conditions}.",
            f"{dataset}: {protocol_label(results)}; {footnote(results, dataset)}",
            *remarks(arms, dataset),
        ],
        marks={number: row[11].text.split(":")[0].replace(" ", "-") for number, row in enumerate(cells)},
    )


def _difference_and_verdict(comparison: Comparison | None, is_reference: bool) -> tuple[str, str]:
    if is_reference:
        return "–", "reference"
    if comparison is None:
        return "–", "not compared"
    return format_difference(comparison).replace(" dB", ""), comparison.verdict


def _image_table(data: _Data) -> Table:
    differences = data.differences
    names = list(dict.fromkeys(name for values in differences.values() for name in values))
    cells = [[Cell(name), *(_difference(values.get(name)) for values in differences.values())] for name in names]
    cells.append([Cell("mean"), *(_difference(statistics.fmean(values.values())) for values in differences.values())])
    return Table(
        name=f"pictures-{data.dataset}",
        title=f"{data.dataset}: Δ PSNR against {data.study.reference} per image in dB, mean over seeds",
        headings=["image", *differences],
        rows=cells,
        numbers=frozenset(range(1, len(differences) + 1)),
        marks={len(names): "mean"},
    )


def _difference(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(format_signed(value, 3), value)


def _plots(data: _Data, latency: Mapping[str, float]) -> Sequence[Plot]:
    study, dataset = data.study, data.dataset
    order, reference = [entry.name for entry in study.entries], study.reference
    plots: list[Plot] = []

    def add(name: str, title: str, caption: str, draw: Callable[[], str]) -> None:
        with optional_output(f"the report's plot {name}-{dataset}"):
            plots.append(Plot(f"{name}-{dataset}", title, draw(), caption))

    if data.comparisons.by_arm:
        comparisons = list(data.comparisons.by_arm.values())
        draw_forest = partial(forest_plot, comparisons, reference, comparisons[0].level)
        add("forest", "Difference from the reference", FOREST, draw_forest)
    if data.differences:
        add("pictures", "Difference per image", STRIP, partial(strip_plot, data.differences, order, reference))
    curves: dict[str, Curve] = {}
    with optional_output(f"the report's learning curves on {dataset}"):
        curves = {entry.name: one for entry in study.entries if (one := curve(entry.arm, dataset)) is not None}
    if any(len(one.steps) > 1 for one in curves.values()):
        add("learning", "Learning curves", LEARNING, partial(learning_curves, curves, order, dataset))
    points = [
        {
            "name": name,
            "psnr": float(row["psnr"]),
            "psnr_sd": float(row["psnr_sd"]),
            "parameters": row["parameters"],
            "latency": latency[name],
        }
        for name, row in data.rows.items()
    ]
    for cost, label in (("latency", "latency in ms"), ("parameters", "parameters")):
        add(cost, f"PSNR against {cost}", SCATTER, partial(cost_scatter, points, order, cost, label, dataset))
    return plots


FOREST = (
    "Mean difference in PSNR with its interval. Filled: better or worse than the reference after Holm's correction. "
    "Hollow and grey: tie or not decided. Dotted: the interval includes the variance of images only, or of seeds only."
)
STRIP = "Each marker is one image, as a mean over seeds. The vertical line is the mean over images."
LEARNING = (
    "Validation PSNR during training: mean over seeds; the band spans the lowest and the highest seed. The first third "
    "of the validations may lie below the plotted range."
)
SCATTER = "Mean over seeds. Error bars: one standard deviation over seeds."
