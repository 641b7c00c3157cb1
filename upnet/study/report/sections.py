"""What one data set says, and the tables of a study."""

import statistics
from collections.abc import Callable, Mapping, Sequence
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
from upnet.study.report.tables import Cell, Table
from upnet.study.run_table import remarks, rows
from upnet.study.statistics import Comparison
from upnet.study.statistics.verdicts import format_difference, format_signed, limitations

HEADINGS = ("arm", "match", "parameters", "multiply-adds", "taps", "seeds", "PSNR in dB", "± sd", "SSIM", "± sd")


def dataset_section(
    planned: ReportedStudy, dataset: str, taps: Mapping[str, str], latency: Mapping[str, float], timed: str
) -> Section:
    """Of a data set; taps and latency in ms are given by arm."""
    told = compare_with_reference(planned, dataset)
    # By the arms' names, which are those of the plan.
    listed = {
        entry.name: row
        for entry, row in zip(planned.entries, rows([entry.arm for entry in planned.entries], dataset), strict=True)
    }
    results = planned.entries[0].arm.runs[0].results
    means = {name: float(row["psnr"]) for name, row in listed.items()}
    found = comparison_summary(dataset, told.by_arm, means) + untrained_arms(planned, dataset)
    found += [sentence for family in told.families for sentence in comparison_sentences(family)]
    differences = image_differences(planned, dataset)
    left = remarks([entry.arm for entry in planned.entries], dataset)
    return Section(
        dataset=dataset,
        protocol=f"{protocol_label(results)}; {footnote(results, dataset)}",
        findings=found,
        limits=[
            *told.remarks,
            *left,
            *dict.fromkeys(limit for family in told.families for limit in limitations(family)),
        ],
        table=_main(planned, dataset, told, listed, taps, latency, timed),
        plots=_plots(planned, dataset, told, listed, latency, differences),
        image_table=_pictures(planned, dataset, differences) if differences else None,
    )


def _main(
    planned: ReportedStudy,
    dataset: str,
    told: DatasetComparisons,
    listed: Mapping[str, Mapping[str, Any]],
    taps: Mapping[str, str],
    latency: Mapping[str, float],
    timed: str,
) -> Table:
    level = next((f"{one.level:.0%}" for one in told.by_arm.values()), "95%")
    headings = [*HEADINGS, f"Δ in dB [{level} interval]", "verdict", "latency in ms"]
    made: list[list[Cell]] = []
    for entry in planned.entries:
        row, one, several = listed[entry.name], told.by_arm.get(entry.name), len(entry.arm.runs) > 1
        difference, verdict = _against(one, entry.is_reference)
        made.append(
            [
                Cell(entry.name),
                Cell(planned.match),
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
    results = planned.entries[0].arm.runs[0].results
    notes = [
        "parameters: learnt numbers; multiply-adds: true ones, for 1280×720 output pixels; taps: LR pixels that an "
        "output phase of the operator is made of, place by place, – where it has no fixed number; sd: over seeds. "
        "Verdicts are corrected for the number of arms by Holm's method, intervals are not.",
        f"latency: {timed}",
        f"{dataset}: {protocol_label(results)}; {footnote(results, dataset)}",
        *remarks([entry.arm for entry in planned.entries], dataset),
    ]
    marks = {number: row[11].text.split(":")[0].replace(" ", "-") for number, row in enumerate(made)}
    numbers = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12})
    return Table(f"main-{dataset}", f"{dataset}: the arms of {planned.name}", headings, made, numbers, notes, marks)


def _against(found: Comparison | None, reference: bool) -> tuple[str, str]:
    if reference:
        return "–", "reference"
    if found is None:
        return "–", "not compared"
    return format_difference(found).replace(" dB", ""), found.verdict


def _pictures(planned: ReportedStudy, dataset: str, differences: Mapping[str, Mapping[str, float]]) -> Table:
    names = list(dict.fromkeys(name for values in differences.values() for name in values))
    made = [[Cell(name), *(_difference(values.get(name)) for values in differences.values())] for name in names]
    made.append([Cell("mean"), *(_difference(statistics.fmean(values.values())) for values in differences.values())])
    title = f"{dataset}: Δ PSNR against {planned.reference} picture by picture, in dB, mean over seeds"
    numbers = frozenset(range(1, len(differences) + 1))
    return Table(f"pictures-{dataset}", title, ["picture", *differences], made, numbers, marks={len(names): "mean"})


def _difference(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(format_signed(value, 3), value)


def _plots(
    planned: ReportedStudy,
    dataset: str,
    told: DatasetComparisons,
    listed: Mapping[str, Mapping[str, Any]],
    latency: Mapping[str, float],
    differences: Mapping[str, Mapping[str, float]],
) -> Sequence[Plot]:
    order, reference = [entry.name for entry in planned.entries], planned.reference
    made: list[Plot] = []

    def add(name: str, title: str, caption: str, draw: Callable[[], str]) -> None:
        with optional_output(f"the report's plot {name}-{dataset}"):
            made.append(Plot(f"{name}-{dataset}", title, draw(), caption))

    if told.by_arm:
        found = list(told.by_arm.values())
        add("forest", "Difference from the reference", FOREST, lambda: forest_plot(found, reference, found[0].level))
    if differences:
        add("pictures", "Picture by picture", PER_PICTURE, lambda: strip_plot(differences, order, reference))
    learnt: dict[str, Curve] = {}
    with optional_output(f"the report's learning curves on {dataset}"):
        learnt = {entry.name: one for entry in planned.entries if (one := curve(entry.arm, dataset)) is not None}
    if any(len(one.steps) > 1 for one in learnt.values()):
        add("learning", "Learning curves", LEARNING, lambda: learning_curves(learnt, order, dataset))
    points = [
        {
            "name": name,
            "psnr": float(row["psnr"]),
            "psnr_sd": float(row["psnr_sd"]),
            "parameters": row["parameters"],
            "latency": latency[name],
        }
        for name, row in listed.items()
    ]
    for what, label in (("latency", "latency in ms"), ("parameters", "parameters")):
        draw = partial(cost_scatter, points, order, what, label, dataset)
        add(what, f"Quality against {what}", QUALITY, draw)
    return made


def thousands(number: int) -> str:
    """Thousands apart: 155 907."""
    return f"{number:,}".replace(",", "\u202f")


FOREST = (
    "Filled: better or worse than the reference, after Holm's correction. Hollow and grey: a tie, or not decided. A "
    "dotted interval is over pictures only, or over seeds only."
)
PER_PICTURE = "Each mark is a picture, a mean over seeds; the stroke is the mean over pictures."
LEARNING = (
    "Validation during training: mean over seeds, the band from the lowest seed to the highest. The first third of the "
    "validations may lie below the axis."
)
QUALITY = "Mean over seeds, with one standard deviation over seeds up and down where there are several."
