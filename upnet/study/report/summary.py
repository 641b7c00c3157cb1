"""The experimental setup of a study: facts and tables on its design, training and evaluation."""

import statistics
from collections.abc import Mapping

from upnet.evaluation.compatibility import protocol_label
from upnet.study.arm_names import flatten
from upnet.study.report.arms import ReportedStudy
from upnet.study.report.tables import Cell, Table, thousands
from upnet.utils.overrides import quote_for_shell


def study_facts(study: ReportedStudy, latency_conditions: str) -> list[tuple[str, str]]:
    """(label, value) pairs that describe the study; pairs without a value are left out."""
    runs = [run for entry in study.entries for run in entry.arm.runs]
    results = runs[0].results
    seeds = sorted({run.seed for run in runs})
    minutes = sum(float(run.results.get("minutes", 0)) for run in runs)
    sets = ", ".join(f"{name} ({_images(len(scores['images']))})" for name, scores in results["datasets"].items())
    weights = "raw" if results.get("weights") == "raw" else "EMA"
    software = [name for name in ("upnet", "revision", "torch") if results["versions"].get(name)]
    command = " ".join(quote_for_shell(word) for word in study.plan.get("overrides", []))
    facts = {
        "Command": f"upnet train {command}" if command else "",
        "Matching": study.match_label,
        "Reference arm": study.reference,
        "Seeds": ", ".join(map(str, seeds)),
        "Test images": f"{sets}, {protocol_label(results)}",
        "Training length": f"{_range([int(run.results.get('step', 0)) for run in runs])} steps",
        "Weights": f"{weights}, after the last step; no checkpoint was selected by its PSNR",
        "Training time": f"{minutes:.0f} minutes in total, {minutes / len(runs):.1f} minutes per run",
        "Latency": latency_conditions,
        "Software": ", ".join(f"{name} {str(results['versions'][name])[:12]}" for name in software),
    }
    return [(label, value) for label, value in facts.items() if value]


def plan_table(study: ReportedStudy, taps: Mapping[str, str]) -> Table:
    """Size, seeds and training time of every arm.

    taps: name of an arm -> its LR taps per output phase.
    """
    cells = []
    for entry in study.entries:
        seeds = ", ".join(map(str, sorted(run.seed for run in entry.arm.runs)))
        minutes = statistics.fmean(float(run.results.get("minutes", 0)) for run in entry.arm.runs)
        cells.append(
            [
                Cell(entry.name),
                Cell(thousands(entry.arm.parameters), entry.arm.parameters),
                Cell(f"{entry.arm.multiply_adds / 1e9:.2f} G", entry.arm.multiply_adds),
                Cell(taps[entry.name]),
                Cell(seeds),
                Cell(entry.changes or "nothing"),
                Cell(f"{minutes:.1f}", minutes),
            ]
        )
    headings = ["arm", "parameters", "multiply-adds", "taps", "seeds", "changed to match", "minutes per run"]
    return Table("plan", f"Arms of {study.name}", headings, cells, frozenset({1, 2, 3, 6}))


def settings_table(study: ReportedStudy) -> Table:
    """The settings that all arms have in common."""
    settings = [flatten(run.settings) for entry in study.entries for run in entry.arm.runs]
    common = {
        key: value for key, value in settings[0].items() if all(values.get(key, ...) == value for values in settings)
    }
    cells = [[Cell(key), Cell("none" if value is None else str(value))] for key, value in sorted(common.items())]
    return Table("settings", "Settings common to all arms", ["setting", "value"], cells)


def _range(values: list[int]) -> str:
    """`300`, or `300 to 400` where the values differ."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _images(count: int) -> str:
    return f"{count} image" if count == 1 else f"{count} images"
