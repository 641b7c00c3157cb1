"""What a reader needs before any figure: what was compared, how it was trained and by what it was scored."""

import statistics
from collections.abc import Mapping
from typing import Any

from upnet.evaluation.compatibility import protocol_label
from upnet.study.report.arms import ReportedStudy
from upnet.study.report.sections import thousands
from upnet.study.report.tables import Cell, Table
from upnet.utils.overrides import quote_for_shell


def study_facts(study: ReportedStudy, timed: str) -> list[tuple[str, str]]:
    """Pairs of a word and what it is."""
    runs = [run for entry in study.entries for run in entry.arm.runs]
    first = runs[0].results
    seeds = sorted({int(run.results["seed"]) for run in runs})
    minutes = sum(float(run.results.get("minutes", 0)) for run in runs)
    sets = ", ".join(f"{name} ({_pictures(len(told['images']))})" for name, told in first["datasets"].items())
    told = [
        ("Matching", study.match_label),
        ("Reference", study.reference),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Scored on", f"{sets}, {protocol_label(first)}"),
        ("Trained", f"{_span([int(run.results.get('step', 0)) for run in runs])} steps"),
        ("Weights", f"{first.get('weights', 'ema')}, of the last step: no step was chosen by its score"),
        ("Training time", f"{minutes:.0f} minutes in all, {minutes / len(runs):.1f} per run"),
        ("Latency", timed),
        ("Made by", ", ".join(f"{name} {str(first['versions'][name])[:12]}" for name in ("upnet", "revision", "torch")
                              if first["versions"].get(name))),
    ]  # fmt: skip
    words = " ".join(quote_for_shell(word) for word in study.content.get("overrides", []))
    if words:
        told.insert(0, ("Command", f"python train.py {words}"))
    return [(word, what) for word, what in told if what]


def plan_table(study: ReportedStudy, taps: Mapping[str, str]) -> Table:
    """The arms with what they consist of."""
    made = []
    for entry in study.entries:
        seeds = ", ".join(str(seed) for seed in sorted(int(run.results["seed"]) for run in entry.arm.runs))
        minutes = statistics.fmean(float(run.results.get("minutes", 0)) for run in entry.arm.runs)
        made.append(
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
    return Table("plan", f"The plan of {study.name}", headings, made, frozenset({1, 2, 3, 6}))


def settings_table(study: ReportedStudy) -> Table:
    """What all arms have in common."""
    every = [_flat(run.settings) for entry in study.entries for run in entry.arm.runs]
    common = {key: value for key, value in every[0].items() if all(one.get(key, ...) == value for one in every)}
    made = [[Cell(key), Cell("none" if value is None else str(value))] for key, value in sorted(common.items())]
    return Table("settings", "Settings that all arms share", ["setting", "value"], made)


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, Mapping):
        return {k: v for key, value in node.items() for k, v in _flat(value, f"{path}.{key}" if path else key).items()}
    return {path: node}


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _pictures(count: int) -> str:
    return f"{count} picture" if count == 1 else f"{count} pictures"
