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
from upnet.results import read_json
from upnet.study.cost import multiply_adds


@dataclass(frozen=True)
class Run:
    """One finished run: where it lies, and its results.json."""

    folder: Path
    results: dict[str, Any]

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
    """

    name: str
    runs: Sequence[Run]
    parameters: int
    multiply_adds: int

    def scores(self, dataset: str, what: str) -> list[float]:
        """A value per seed: the data set's mean PSNR in dB, or SSIM."""
        return [float(run.results["datasets"][dataset][what]) for run in self.runs]


def read_study(folder: Path, trust: Sequence[str] = ()) -> tuple[list[Arm], list[Path]]:
    """The arms of a study, best first, and the folders of runs that left no results.

    Raises ValueError where there is no run, or runs were scored by different protocols or on different pictures.
    """
    if not folder.is_dir():
        raise ValueError(f"study={folder} is not a folder; a multirun writes its runs below runs/studies/")
    folders = sorted(path.parent.parent for path in folder.glob("**/config/hydra.yaml"))
    unfinished = [path for path in folders if not (path / "results.json").is_file()]
    runs = [Run(path, read_json(path / "results.json")) for path in folders if path not in unfinished]
    if not runs:
        raise ValueError(f"study={folder} holds no finished run: no folder below it has a results.json")
    _check_comparable(runs)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run.settings, sort_keys=True), []).append(run)
    for group in groups.values():
        _check_seeds(group)
    names = _names([group[0].settings for group in groups.values()])
    arms = [_arm(name, group, trust) for name, group in zip(names, groups.values(), strict=True)]
    first = next(iter(runs[0].results["datasets"]))
    return sorted(arms, key=lambda arm: -statistics.fmean(arm.scores(first, "psnr"))), unfinished


def print_study(arms: Sequence[Arm], unfinished: Sequence[Path]) -> None:
    """A table per data set, on the terminal."""
    console = Console(width=None if Console().is_terminal else 110)
    for dataset in arms[0].runs[0].results["datasets"]:
        console.print(_table(arms, dataset))
    for path in unfinished:
        console.print(f"left out, since it didn't finish: {path}")


def rows(arms: Sequence[Arm], dataset: str) -> list[dict[str, str | float | int]]:
    """The table as plain data: arm, seeds, parameters, multiply_adds, psnr, psnr_sd, ssim, ssim_sd, gain."""
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
                "gain": statistics.fmean(psnr) - baseline,
                "minutes": statistics.fmean(float(run.results.get("minutes", 0)) for run in arm.runs),
            }
        )
    return listed


def _table(arms: Sequence[Arm], dataset: str) -> Table:
    protocol = arms[0].runs[0].results["protocol"]
    told = f"×{protocol['scale']}, {protocol['name']}, channel {protocol['channel']}, crop {protocol['crop']}"
    table = Table(title=f"{dataset}  ({told})", title_justify="left", title_style="bold")
    table.add_column("operator")
    for heading in ("seeds", "parameters", "mult-adds", "PSNR", "± sd", "SSIM", "± sd", "over bicubic", "minutes"):
        table.add_column(heading, justify="right")
    for row in rows(arms, dataset):
        several = int(row["seeds"]) > 1
        table.add_row(
            str(row["arm"]),
            str(row["seeds"]),
            f"{row['parameters']:,}".replace(",", " "),
            f"{float(row['multiply_adds']) / 1e9:.2f} G",
            f"{row['psnr']:.3f}",
            f"{row['psnr_sd']:.3f}" if several else "–",
            f"{row['ssim']:.4f}",
            f"{row['ssim_sd']:.4f}" if several else "–",
            f"{row['gain']:+.2f}",
            f"{row['minutes']:.1f}",
        )
    table.caption = "mult-adds: true ones, for an output of 1280×720; sd over seeds"
    return table


def _arm(name: str, runs: Sequence[Run], trust: Sequence[str]) -> Arm:
    net = load_network(runs[0].checkpoint, trust=trust).net
    return Arm(name, runs, int(runs[0].results["parameters"]), multiply_adds(net))


def _check_comparable(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        mine, other = first.results, run.results
        pictures = [{name: told["pictures"] for name, told in one["datasets"].items()} for one in (mine, other)]
        if mine["protocol"] != other["protocol"] or pictures[0] != pictures[1]:
            raise ValueError(
                f"{first.folder} and {run.folder} were scored by different protocols or on different pictures, and "
                "their numbers don't belong into one table"
            )


def _check_seeds(runs: Sequence[Run]) -> None:
    seeds = [run.results["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        told = ", ".join(str(run.folder) for run in runs)
        raise ValueError(f"these runs are repetitions of one another, seed and all, and would count twice: {told}")


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
