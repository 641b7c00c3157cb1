"""The table of a study: per arm its size, PSNR and SSIM as mean and spread over seeds, and the gain over bicubic.

study.json, schema 3:

    {"schema": 3,
     "footings": {NUMBER: {"protocol": {…}, "pictures": {DATASET: hash}, "left_out": {DATASET: [names]},
                           "device": …, "versions": {…}}}, by protocol group, counted from 1
     "datasets": {NAME: [one entry per arm, see rows()]}}
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from upnet.evaluation.compatibility import footnote, group_label, protocol_label
from upnet.evaluation.dataset_scores import EXACT, LEFT_OUT, format_remark
from upnet.evaluation.tables import table_console
from upnet.metrics import gain
from upnet.study.finished_runs import Arm

SCHEMA = 3
"""The schema version of study.json; incremented whenever its keys change."""

MAX_UNFINISHED = 5
"""How many unfinished runs are printed by name."""

WIDTH = 110
"""Columns of a table that is not printed to a terminal."""

CAPTION = "mult-adds: for an output of 1280×720 pixels; sd: over seeds; over bicubic: gain in dB"


def rows(arms: Sequence[Arm], dataset: str) -> list[dict[str, str | float | int]]:
    """One entry per arm: its name, costs, PSNR in dB and SSIM, as means over seeds.

    Keys: arm, seeds, parameters, multiply_adds, psnr, psnr_sd, ssim, ssim_sd, gain (over the baseline, in dB), minutes
    (per run) and footing (the protocol group, from 1). psnr_sd and ssim_sd are 0 for a single seed.
    """
    entries: list[dict[str, str | float | int]] = []
    for arm in arms:
        psnr, ssim = arm.scores(dataset, "psnr"), arm.scores(dataset, "ssim")
        baseline = float(arm.runs[0].results["datasets"][dataset]["baseline"]["psnr"])
        entries.append(
            {
                "arm": arm.name,
                "seeds": len(arm.runs),
                "parameters": arm.parameters,
                "multiply_adds": arm.multiply_adds,
                "psnr": statistics.fmean(psnr),
                "psnr_sd": statistics.stdev(psnr) if len(psnr) > 1 else 0.0,
                "ssim": statistics.fmean(ssim),
                "ssim_sd": statistics.stdev(ssim) if len(ssim) > 1 else 0.0,
                "gain": gain(baseline, statistics.fmean(psnr)),
                "minutes": statistics.fmean(float(run.results.get("minutes", 0)) for run in arm.runs),
                "footing": arm.protocol_group + 1,
            }
        )
    return entries


def study_content(arms: Sequence[Arm]) -> dict[str, Any]:
    """The content of study.json."""
    return {
        "schema": SCHEMA,
        "footings": {
            str(group + 1): {
                "protocol": results["protocol"],
                "pictures": {name: scores["pictures"] for name, scores in results["datasets"].items()},
                "left_out": {name: scores["left_out"] for name, scores in results["datasets"].items()},
                "device": results["device"],
                "versions": results["versions"],
            }
            for group, results in _results_by_group(arms).items()
        },
        "datasets": {name: rows(_evaluated_on(arms, name), name) for name in _datasets(arms)},
    }


def print_study(arms: Sequence[Arm], unfinished: Sequence[Path]) -> None:
    """Print a table per data set, what its numbers depend on, and the folders of unfinished runs."""
    console = table_console(WIDTH)
    for dataset in _datasets(arms):
        evaluated = _evaluated_on(arms, dataset)
        results_by_group = _results_by_group(evaluated)
        mixed = len(results_by_group) > 1
        console.print(_table(evaluated, dataset, mixed))
        for group, results in results_by_group.items():
            note = footnote(results, dataset)
            if mixed:
                note = f"[{group + 1}] {protocol_label(results)}; {note}"
            console.print(note, style="dim", highlight=False)
        for remark in remarks(evaluated, dataset):
            console.print(remark, highlight=False)
    for path in unfinished[:MAX_UNFINISHED]:
        console.print(f"left out, not finished: {path}")
    if len(unfinished) > MAX_UNFINISHED:
        console.print(f"left out, not finished: {len(unfinished) - MAX_UNFINISHED} more")


def remarks(arms: Sequence[Arm], dataset: str) -> list[str]:
    """A sentence on the images that are left out of the means, and one per arm on images that it reproduces exactly."""
    scores = [run.results["datasets"][dataset] for arm in arms for run in arm.runs]
    sentences = [format_remark(LEFT_OUT, run_scores["left_out"]) for run_scores in scores]
    for arm in arms:
        names = {name for run in arm.runs for name in run.results["datasets"][dataset]["exact"]}
        sentences.append(format_remark(EXACT.format(f"an output of {arm.name}"), sorted(names)))
    return [sentence for sentence in dict.fromkeys(sentences) if sentence]


def _table(arms: Sequence[Arm], dataset: str, mixed: bool) -> Table:
    protocol = "mixed protocols or images" if mixed else protocol_label(arms[0].runs[0].results)
    table = Table(title=f"{dataset}  ({protocol})", title_justify="left", title_style="bold", caption=CAPTION)
    table.add_column("arm")
    for heading in ("seeds", "parameters", "mult-adds", "PSNR", "± sd", "SSIM", "± sd", "over bicubic", "minutes"):
        table.add_column(heading, justify="right")
    for row in rows(arms, dataset):
        has_spread = int(row["seeds"]) > 1
        table.add_row(
            group_label(str(row["arm"]), int(row["footing"]) - 1, mixed),
            str(row["seeds"]),
            f"{row['parameters']:,}".replace(",", " "),
            f"{float(row['multiply_adds']) / 1e9:.2f} G",
            f"{row['psnr']:.3f}",
            f"{row['psnr_sd']:.3f}" if has_spread else "–",
            f"{row['ssim']:.4f}",
            f"{row['ssim_sd']:.4f}" if has_spread else "–",
            f"{row['gain']:+.2f}",
            f"{row['minutes']:.1f}",
        )
    return table


def _datasets(arms: Sequence[Arm]) -> list[str]:
    return list(dict.fromkeys(dataset for arm in arms for dataset in arm.runs[0].results["datasets"]))


def _evaluated_on(arms: Sequence[Arm], dataset: str) -> list[Arm]:
    return [arm for arm in arms if dataset in arm.runs[0].results["datasets"]]


def _results_by_group(arms: Sequence[Arm]) -> dict[int, dict[str, Any]]:
    """Protocol group -> the results.json of its first run, sorted by group."""
    results = {arm.protocol_group: arm.runs[0].results for arm in reversed(arms)}
    return dict(sorted(results.items()))
