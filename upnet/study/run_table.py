"""A folder of runs as one table: operator, parameters, multiply-adds, PSNR, SSIM, mean and spread over seeds."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from upnet.checkpoint import load_network
from upnet.checkpoint.migration import rename_config
from upnet.config import ConfigError, check_targets
from upnet.evaluation.compatibility import footnote, group_label, protocol_groups, protocol_label
from upnet.evaluation.dataset_scores import EXACT, LEFT_OUT, format_remark
from upnet.evaluation.results import read_results
from upnet.evaluation.schema import Run as RunResults
from upnet.evaluation.schema import validate
from upnet.metrics import gain
from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds
from upnet.study.plan import planned_runs
from upnet.utils.errors import UserError

SCHEMA = 3
"""Of study.json; counted up whenever its keys change."""

TOLD = 5
"""How many unfinished runs are named on the terminal."""


@dataclass(frozen=True)
class Run:
    """One finished run: where it lies, its results.json, and the name of its arm where a plan gives it one."""

    folder: Path
    results: dict[str, Any]
    label: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on, beside the seed: the network's config and how it was trained."""
        settings = {key: value for key, value in self.results["settings"].items() if key != "seed"}
        return {"model": self.results["model"], **settings}

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that the results belong to."""
        return self.folder / "checkpoints" / "last.ckpt"


@dataclass(frozen=True)
class Arm:
    """The runs that differ in nothing but the seed.

    name:          the operator, with whatever else distinguishes the arm from the others of its study.
    multiply_adds: for a 1280 × 720 output.
    network:       of the first run, by its averaged weights: every reader of a study shares this one.
    protocol_group: arms of the same number were scored by the same protocol on the same pictures.
    """

    name: str
    runs: Sequence[Run]
    parameters: int
    multiply_adds: int
    network: EncoderDecoder
    protocol_group: int = 0

    def scores(self, dataset: str, what: str) -> list[float]:
        """A value per seed: the data set's mean PSNR in dB, or SSIM."""
        return [float(run.results["datasets"][dataset][what]) for run in self.runs]


def read_study(folder: Path, trust: Sequence[str] = (), mixed: bool = False) -> tuple[list[Arm], list[Path]]:
    """The arms of a study, best first, and the folders of runs that left no results.

    Raises UserError where there is no run, or runs were scored by different protocols or on different pictures. Where
    `mixed` numbers are asked for, such runs are arms of different footings instead, and the names say so.
    """
    if not folder.is_dir():
        raise UserError(
            "is not a folder", setting="study", value=str(folder), cure="A multirun writes its runs below runs/studies/"
        )
    folders = planned_runs(folder)
    if not folders:
        folders = {path.parent.parent: None for path in sorted(folder.glob("**/config/hydra.yaml"))}
    unfinished = [path for path in folders if not (path / "results.json").is_file()]
    runs = [_read_run(path, label, trust) for path, label in folders.items() if path not in unfinished]
    if not runs:
        raise UserError(
            "contains no finished run: no folder below it has a results.json", setting="study", value=str(folder)
        )
    standing = _standing(runs, mixed)
    arms: list[Arm] = []
    for footing in sorted(set(standing)):
        groups: dict[str, list[Run]] = {}
        for run, own in zip(runs, standing, strict=True):
            if own == footing:
                groups.setdefault(run.label or json.dumps(run.settings, sort_keys=True), []).append(run)
        for group in groups.values():
            _check_seeds(group)
        labels = [group[0].label for group in groups.values() if group[0].label is not None]
        names = labels or _names([group[0].settings for group in groups.values()])
        found = [_arm(name, group, trust, footing) for name, group in zip(names, groups.values(), strict=True)]
        first = next(iter(found[0].runs[0].results["datasets"]))
        arms += sorted(found, key=lambda arm: -statistics.fmean(arm.scores(first, "psnr")))
    return arms, unfinished


def print_study(arms: Sequence[Arm], unfinished: Sequence[Path]) -> None:
    """A table per data set, on the terminal, and what its numbers depend on."""
    console = Console(width=None if Console().is_terminal else 110, markup=False, emoji=False)
    for dataset in dict.fromkeys(dataset for arm in arms for dataset in arm.runs[0].results["datasets"]):
        told = [arm for arm in arms if dataset in arm.runs[0].results["datasets"]]
        several = len({arm.protocol_group for arm in told}) > 1
        console.print(_table(told, dataset, several))
        notes = {arm.protocol_group: arm.runs[0].results for arm in reversed(told)}
        for footing, content in sorted(notes.items(), key=lambda pair: pair[0]):
            note = f"{protocol_label(content)}; {footnote(content, dataset)}" if several else footnote(content, dataset)
            console.print(f"[{footing + 1}] {note}" if several else note, style="dim", highlight=False)
        for remark in remarks(told, dataset):
            console.print(remark, highlight=False)
    for path in unfinished[:TOLD]:
        console.print(f"left out, since it didn't finish: {path}")
    if len(unfinished) > TOLD:
        console.print(f"left out, since they didn't finish either: {len(unfinished) - TOLD} more")


def study_content(arms: Sequence[Arm]) -> dict[str, Any]:
    """The tables as plain data: by data set the rows of all arms, and by footing what their numbers depend on."""
    datasets = dict.fromkeys(dataset for arm in arms for dataset in arm.runs[0].results["datasets"])
    footing_of = {arm.protocol_group: arm.runs[0].results for arm in reversed(arms)}
    return {
        "schema": SCHEMA,
        "footings": {
            str(footing + 1): {
                "protocol": content["protocol"],
                "pictures": {name: told["pictures"] for name, told in content["datasets"].items()},
                "left_out": {name: told["left_out"] for name, told in content["datasets"].items()},
                "device": content["device"],
                "versions": content["versions"],
            }
            for footing, content in sorted(footing_of.items(), key=lambda pair: pair[0])
        },
        "datasets": {
            name: rows([arm for arm in arms if name in arm.runs[0].results["datasets"]], name) for name in datasets
        },
    }


def comparable_arms(arms: Sequence[Arm]) -> list[Arm]:
    """The arms on the footing of the first."""
    return [arm for arm in arms if arm.protocol_group == arms[0].protocol_group]


def rows(arms: Sequence[Arm], dataset: str) -> list[dict[str, str | float | int]]:
    """The table as plain data: arm, seeds, parameters, multiply_adds, psnr, psnr_sd, ssim, ssim_sd, gain, footing."""
    listed: list[dict[str, str | float | int]] = []
    for arm in arms:
        psnr, ssim = arm.scores(dataset, "psnr"), arm.scores(dataset, "ssim")
        baseline = float(arm.runs[0].results["datasets"][dataset]["baseline"]["psnr"])
        listed.append(
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
    return listed


def remarks(arms: Sequence[Arm], dataset: str) -> list[str]:
    """Which images are left out of the means, and which ones an arm reproduces, in a sentence each."""
    found = [run.results["datasets"][dataset] for arm in arms for run in arm.runs]
    told = [format_remark(LEFT_OUT, one["left_out"]) for one in found]
    for arm in arms:
        names = [name for run in arm.runs for name in run.results["datasets"][dataset]["exact"]]
        told += [format_remark(EXACT.format(f"an output of {arm.name}"), sorted(set(names)))]
    return [remark for remark in dict.fromkeys(told) if remark]


def _table(arms: Sequence[Arm], dataset: str, several: bool) -> Table:
    told = "mixed protocols or pictures" if several else protocol_label(arms[0].runs[0].results)
    table = Table(title=f"{dataset}  ({told})", title_justify="left", title_style="bold")
    table.add_column("operator")
    for heading in ("seeds", "parameters", "mult-adds", "PSNR", "± sd", "SSIM", "± sd", "over bicubic", "minutes"):
        table.add_column(heading, justify="right")
    for row in rows(arms, dataset):
        repeated = int(row["seeds"]) > 1
        table.add_row(
            group_label(str(row["arm"]), int(row["footing"]) - 1, several),
            str(row["seeds"]),
            f"{row['parameters']:,}".replace(",", " "),
            f"{float(row['multiply_adds']) / 1e9:.2f} G",
            f"{row['psnr']:.3f}",
            f"{row['psnr_sd']:.3f}" if repeated else "–",
            f"{row['ssim']:.4f}",
            f"{row['ssim_sd']:.4f}" if repeated else "–",
            f"{row['gain']:+.2f}",
            f"{row['minutes']:.1f}",
        )
    table.caption = "mult-adds: true ones, for an output of 1280×720; sd over seeds"
    return table


def _arm(name: str, runs: Sequence[Run], trust: Sequence[str], footing: int) -> Arm:
    net = load_network(runs[0].checkpoint, trust=trust).net
    return Arm(name, runs, int(runs[0].results["parameters"]), multiply_adds(net), net, footing)


def _read_run(folder: Path, label: str | None, trust: Sequence[str]) -> Run:
    """A finished run. Components and settings that were renamed since it was written have their new names.

    Raises UserError if results.json lacks what distinguishes arms, or names classes that are not trusted.
    """
    path = folder / "results.json"
    results = read_results(path)
    validate(results, RunResults, path, "results.json of a training")
    results |= {key: rename_config(results[key], key) for key in ("model", "settings")}
    try:
        check_targets({"model": results["model"]}, trust)
    except ConfigError as error:
        raise UserError(f"{path}: {str(error).splitlines()[0]}") from error
    return Run(folder, results, label)


def _standing(runs: Sequence[Run], mixed: bool) -> list[int]:
    """The footing of every run over all its data sets. Raises ValueError where there are several, unless `mixed`."""
    grouped = protocol_groups([str(run.folder) for run in runs], [run.results for run in runs], mixed)
    seen: list[tuple[int | None, ...]] = []
    standing: list[int] = []
    for own in zip(*grouped.values(), strict=True):
        seen += [own] * (own not in seen)
        standing.append(seen.index(own))
    return standing


def _check_seeds(runs: Sequence[Run]) -> None:
    seeds = [run.results["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        told = ", ".join(str(run.folder) for run in runs)
        raise UserError(f"these runs have equal settings and seeds and would count twice: {told}")


def _names(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """The operator of each arm, and every other setting in which the arms differ."""
    flat = [_flat(arm) for arm in arms]
    keys = sorted({key for one in flat for key in one})
    differing = [key for key in keys if len({repr(one.get(key)) for one in flat}) > 1]
    names = []
    for arm, one in zip(arms, flat, strict=True):
        upsampler = arm["model"]["upsampler"]
        operators = upsampler if isinstance(upsampler, list) else [upsampler]
        name = " + ".join("none" if op is None else op["_target_"].rsplit(".", 1)[-1] for op in operators)
        rest = [key for key in differing if not key.startswith("model.upsampler")]
        names.append(", ".join([name, *(f"{key}={one.get(key)}" for key in rest)]))
    if len(set(names)) == len(names):
        return names
    inner = [key for key in differing if key.startswith("model.upsampler.")]
    return [
        f"{name} ({', '.join(f'{key[16:]}={one[key]}' for key in inner if key in one)})"
        for name, one in zip(names, flat, strict=True)
    ]


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, Mapping):
        return {
            k: v for key, value in node.items() for k, v in _flat(value, f"{path}.{key}" if path else str(key)).items()
        }
    return {path: node}
