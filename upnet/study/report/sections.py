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
from upnet.study.report.curves import Curve, mean_curve
from upnet.study.report.plots import cost_scatter, forest_plot, learning_curves, strip_plot
from upnet.study.report.tables import Cell, Table, thousands
from upnet.study.run_table import remarks, rows
from upnet.study.statistics import Comparison
from upnet.study.statistics.verdicts import format_difference, format_signed, limitations

HEADINGS = ("arm", "match", "parameters", "multiply-adds", "taps", "seeds", "PSNR in dB", "± sd", "SSIM", "± sd")
COLUMN_NOTES = (
    "PSNR and SSIM: mean over images and seeds. sd: standard deviation over seeds. Multiply-adds: for an output of "
    "1280×720 pixels. Taps: LR pixels that contribute to one output phase of the operator, per location; – if their "
    "number is not fixed. Δ: PSNR of the arm − PSNR of the reference, with its confidence interval. Verdicts are "
    "corrected for the number of arms by Holm's method; intervals are not corrected."
)

Rows = Mapping[str, Mapping[str, Any]]
"""Name of an arm -> its costs and means, as `upnet.study.run_table.rows` returns them."""


def dataset_section(
    study: ReportedStudy, dataset: str, taps: Mapping[str, str], latency: Mapping[str, float], conditions: str
) -> Section:
    """The section on a data set.

    taps, latency: name of an arm -> LR taps per output phase, and latency in ms.
    conditions:    under which latency was measured, in words.
    """
    arms = [entry.arm for entry in study.entries]
    by_name = dict(zip([entry.name for entry in study.entries], rows(arms, dataset), strict=True))
    comparisons = compare_with_reference(study, dataset)
    data = _SectionData(study, dataset, comparisons, by_name, image_differences(study, dataset))
    families = comparisons.families
    means = {name: float(row["psnr"]) for name, row in by_name.items()}
    results = arms[0].runs[0].results
    return Section(
        dataset=dataset,
        protocol=f"{protocol_label(results)}; {footnote(results, dataset)}",
        findings=[
            *comparison_summary(dataset, comparisons.by_arm, means, results["datasets"][dataset]["baseline"]),
            *untrained_arms(study, dataset),
            *(sentence for family in families for sentence in comparison_sentences(family)),
        ],
        limits=[
            *comparisons.remarks,
            *remarks(arms, dataset),
            *dict.fromkeys(limit for family in families for limit in limitations(family)),
        ],
        table=_arm_table(data, taps, latency, conditions),
        plots=_plots(data, latency),
        image_table=_image_table(data) if data.differences else None,
    )


@dataclass(frozen=True)
class _SectionData:
    """The numbers of a section.

    rows:        by name of an arm.
    differences: PSNR of an arm − PSNR of the reference in dB, by arm and image.
    """

    study: ReportedStudy
    dataset: str
    comparisons: DatasetComparisons
    rows: Rows
    differences: Mapping[str, Mapping[str, float]]


def _arm_table(data: _SectionData, taps: Mapping[str, str], latency: Mapping[str, float], conditions: str) -> Table:
    study, dataset, by_arm = data.study, data.dataset, data.comparisons.by_arm
    level = next((f"{comparison.level:.0%}" for comparison in by_arm.values()), "95%")
    cells: list[list[Cell]] = []
    for entry in study.entries:
        row, has_spread = data.rows[entry.name], len(entry.arm.runs) > 1
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
                Cell(f"{row['psnr_sd']:.3f}", row["psnr_sd"]) if has_spread else Cell("–"),
                Cell(f"{row['ssim']:.4f}", row["ssim"]),
                Cell(f"{row['ssim_sd']:.4f}", row["ssim_sd"]) if has_spread else Cell("–"),
                Cell(difference),
                Cell(verdict),
                Cell(f"{latency[entry.name]:.1f}", latency[entry.name]),
            ]
        )
    arms = [entry.arm for entry in study.entries]
    results = arms[0].runs[0].results
    return Table(
        name=f"main-{dataset}",
        title=f"Results of {study.name} on {dataset}",
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


def _image_table(data: _SectionData) -> Table:
    differences = data.differences
    names = list(dict.fromkeys(name for values in differences.values() for name in values))
    cells = [[Cell(name), *(_difference(values.get(name)) for values in differences.values())] for name in names]
    cells.append([Cell("mean"), *(_difference(statistics.fmean(values.values())) for values in differences.values())])
    return Table(
        name=f"pictures-{data.dataset}",
        title=f"Δ PSNR against {data.study.reference} per image of {data.dataset} in dB, mean over seeds",
        headings=["image", *differences],
        rows=cells,
        numbers=frozenset(range(1, len(differences) + 1)),
        marks={len(names): "mean"},
    )


def _difference(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(format_signed(value, 3), value)


def _plots(data: _SectionData, latency: Mapping[str, float]) -> Sequence[Plot]:
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
        arm_curves = {entry.name: mean_curve(entry.arm, dataset) for entry in study.entries}
        curves = {name: curve for name, curve in arm_curves.items() if curve is not None}
    if any(len(curve.steps) > 1 for curve in curves.values()):
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
    "Difference in mean PSNR from the reference, with its confidence interval. Filled: significantly better or worse "
    "after Holm's correction. Hollow and grey: tie or not decided. Dotted: the interval includes only the variance "
    "between images, or only the variance between seeds."
)
STRIP = "Each marker is one image: the mean over seeds. The short vertical line is the mean over images."
LEARNING = (
    "Validation PSNR during training. Line: mean over seeds. Band: lowest to highest seed. The first third of the "
    "validations may lie below the plotted range."
)
SCATTER = "Markers: mean over seeds. Error bars: one standard deviation over seeds."
