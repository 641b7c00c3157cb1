"""Reading the finished runs of a study: runs that differ in nothing but the seed form an arm."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upnet.checkpoint import load_network
from upnet.checkpoint.migration import rename_config
from upnet.config import ConfigError, check_targets
from upnet.evaluation.compatibility import protocol_groups
from upnet.evaluation.results import read_results
from upnet.evaluation.schema import Run as RunResults
from upnet.evaluation.schema import validate
from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds
from upnet.study.arm_names import arm_names
from upnet.study.plan import planned_runs
from upnet.utils.errors import UserError


@dataclass(frozen=True)
class Run:
    """One finished run.

    results: the content of results.json.
    label:   the name of its arm with the factor levels, from the study's plan; None for a run of a multirun.
    """

    folder: Path
    results: dict[str, Any]
    label: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on besides the seed: the network's config and the training settings."""
        settings = {key: value for key, value in self.results["settings"].items() if key != "seed"}
        return {"model": self.results["model"], **settings}

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return int(self.results["seed"])

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that was evaluated."""
        return self.folder / "checkpoints" / "last.ckpt"


@dataclass(frozen=True)
class Arm:
    """The runs that differ in nothing but the seed.

    name:           the label of its runs; without a plan, the operator and the other settings in which arms differ.
    multiply_adds:  for an output of 1280×720 pixels.
    network:        of the first run, with its EMA weights, so that a report reads every checkpoint once.
    protocol_group: arms of the same number were evaluated by the same protocol on the same images.
    """

    name: str
    runs: Sequence[Run]
    parameters: int
    multiply_adds: int
    network: EncoderDecoder
    protocol_group: int = 0

    def scores(self, dataset: str, metric: str) -> list[float]:
        """The mean over the data set by seed: "psnr" in dB, or "ssim"."""
        return [float(run.results["datasets"][dataset][metric]) for run in self.runs]


def read_study(folder: Path, trust: Sequence[str] = (), allow_mixed: bool = False) -> tuple[list[Arm], list[Path]]:
    """The arms of a study by descending mean PSNR on the first data set, and the folders of runs without results.

    folder:      of a study with a plan, or of a multirun.
    trust:       modules outside upnet whose classes the runs' configs may contain.
    allow_mixed: whether runs may differ in evaluation protocol or images; such runs are different arms, and arms are
                 sorted by protocol group first.

    Raises UserError if there is no finished run, if a file is invalid, if two runs have equal settings and seeds, and,
    unless `allow_mixed`, if protocols or images differ.
    """
    runs, unfinished = _read_runs(folder, trust)
    groups = _protocol_groups(runs, allow_mixed)
    arms: list[Arm] = []
    for group in sorted(set(groups)):
        members = [run for run, run_group in zip(runs, groups, strict=True) if run_group == group]
        arms += _arms(members, trust, group)
    return arms, unfinished


def comparable_arms(arms: Sequence[Arm]) -> list[Arm]:
    """The arms that were evaluated as the first one was: by the same protocol on the same images."""
    return [arm for arm in arms if arm.protocol_group == arms[0].protocol_group]


def _read_runs(folder: Path, trust: Sequence[str]) -> tuple[list[Run], list[Path]]:
    """The finished runs in a folder, and the folders of the others."""
    if not folder.is_dir():
        raise UserError(
            "is not a folder", setting="study", value=str(folder), cure="A study writes its runs below runs/studies/"
        )
    labels = planned_runs(folder)
    if not labels:
        labels = {path.parent.parent: None for path in sorted(folder.glob("**/config/hydra.yaml"))}
    unfinished = [path for path in labels if not (path / "results.json").is_file()]
    runs = [_read_run(path, label, trust) for path, label in labels.items() if path not in unfinished]
    if not runs:
        raise UserError(
            "contains no finished run: no folder below it has a results.json", setting="study", value=str(folder)
        )
    return runs, unfinished


def _read_run(folder: Path, label: str | None, trust: Sequence[str]) -> Run:
    """A finished run; former names of components and settings are replaced by the current ones.

    Raises UserError if results.json is invalid or contains classes that are not trusted.
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


def _protocol_groups(runs: Sequence[Run], allow_mixed: bool) -> list[int]:
    """The protocol group of every run, over all its data sets. Raises UserError as read_study() does."""
    by_dataset = protocol_groups([str(run.folder) for run in runs], [run.results for run in runs], allow_mixed)
    combinations = list(zip(*by_dataset.values(), strict=True))
    distinct = list(dict.fromkeys(combinations))
    return [distinct.index(combination) for combination in combinations]


def _arms(runs: Iterable[Run], trust: Sequence[str], protocol_group: int) -> list[Arm]:
    """Group the runs of one protocol group into arms, by descending mean PSNR on the first data set."""
    runs_by_arm: dict[str, list[Run]] = {}
    for run in runs:
        runs_by_arm.setdefault(run.label or json.dumps(run.settings, sort_keys=True), []).append(run)
    for arm_runs in runs_by_arm.values():
        _check_seeds(arm_runs)
    labels = [arm_runs[0].label for arm_runs in runs_by_arm.values() if arm_runs[0].label is not None]
    names = labels or arm_names([arm_runs[0].settings for arm_runs in runs_by_arm.values()])
    arms = [_arm(name, group, trust, protocol_group) for name, group in zip(names, runs_by_arm.values(), strict=True)]
    dataset = next(iter(arms[0].runs[0].results["datasets"]))
    return sorted(arms, key=lambda arm: -statistics.fmean(arm.scores(dataset, "psnr")))


def _arm(name: str, runs: Sequence[Run], trust: Sequence[str], protocol_group: int) -> Arm:
    network = load_network(runs[0].checkpoint, trust=trust).net
    parameters = int(runs[0].results["parameters"])
    return Arm(name, runs, parameters, multiply_adds(network), network, protocol_group)


def _check_seeds(runs: Sequence[Run]) -> None:
    if len({run.seed for run in runs}) < len(runs):
        folders = ", ".join(str(run.folder) for run in runs)
        raise UserError(
            f"these runs have equal settings and seeds and would count twice: {folders}",
            cure="Move the repeated runs out of the study's folder",
        )
