"""What was planned: which run belongs to which arm, what the arms are compared with, and what never came about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upnet.study.design import MATCH_MODES
from upnet.study.plan import PLAN, read_plan
from upnet.study.run_table import Arm


@dataclass(frozen=True)
class ArmEntry:
    """An arm of the report.

    name:      what it is called, levels of factors included.
    group:     the levels in words, `skip=with`; arms are compared within a group. Empty where there are no factors.
    is_reference: whether the others of its group are compared with it.
    changes:   the settings that matching changed, in words.
    """

    name: str
    arm: Arm
    group: str = ""
    is_reference: bool = False
    changes: str = ""


@dataclass(frozen=True)
class ReportedStudy:
    """The arms in the order in which they are shown, and what is known of the study as a whole.

    reference: the arm that the others are compared with, without levels.
    content:   of plan.json; empty where there is none.
    missing:   a sentence for everything that was planned, or begun, and has no results.
    """

    name: str
    entries: Sequence[ArmEntry]
    reference: str
    match: str
    missing: Sequence[str] = ()
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def match_label(self) -> str:
        """`none (every arm as configured)`."""
        description = MATCH_MODES.get(self.match)
        return self.match if description is None else f"{self.match} ({description})"


def reported_study(folder: Path, arms: Sequence[Arm], unfinished: Sequence[Path]) -> ReportedStudy:
    """The study of a folder, whether a plan made it or a multirun.

    Of a multirun the reference is the transposed convolution where it is an arm, or else the first arm. Arms on another
    footing than the first are left out, and told among what is missing: their numbers don't compare.
    """
    shown = [arm for arm in arms if arm.protocol_group == arms[0].protocol_group]
    missing = [
        f"{arm.name} was scored by another protocol or on other pictures, and is left out"
        for arm in arms
        if arm.protocol_group != arms[0].protocol_group
    ]
    path = folder / PLAN
    if path.is_file():
        return _by_plan(folder, read_plan(path.parent), shown, missing)
    missing += [f"{path.name} did not finish" for path in unfinished]
    reference = next((arm for arm in shown if _operators(arm) == {"Transposed"}), shown[0])
    entries = [ArmEntry(arm.name, arm, is_reference=arm is reference) for arm in shown]
    return ReportedStudy(folder.resolve().name, entries, reference.name, "none", missing)


def _by_plan(folder: Path, plan: dict[str, Any], arms: Sequence[Arm], missing: list[str]) -> ReportedStudy:
    cells = {(folder / cell["folder"]).resolve(): cell for cell in plan["cells"]}
    variants = {_key(variant): variant for variant in plan["variants"]}
    found: dict[str, ArmEntry] = {}
    for arm in arms:
        cell = next((cells[run.folder.resolve()] for run in arm.runs if run.folder.resolve() in cells), None)
        if cell is None:
            missing.append(f"{arm.name} is in the folder, but no longer in the plan, and is left out")
            continue
        levels = ", ".join(f"{factor}={level}" for factor, level in cell["levels"].items())
        name = ", ".join(part for part in (cell["arm"], levels) if part)
        changes = variants.get(_key(cell), {}).get("changes") or {}
        told = ", ".join(f"{path}={value}" for path, value in changes.items())
        found[_key(cell)] = ArmEntry(name, arm, levels, cell["arm"] == plan["reference"], told)
    missing += [
        f"{_label(variant)} was refused: {variant['refused']}" for variant in plan["variants"] if variant["refused"]
    ]
    done = {run.folder.resolve() for entry in found.values() for run in entry.arm.runs}
    missing += _open({place: cell for place, cell in cells.items() if place not in done})
    if not found:
        raise ValueError(f"study={folder}: no cell of its plan is finished yet; start the study again to go on with it")
    entries = [found[key] for key in variants if key in found]
    return ReportedStudy(plan["study"], entries, plan["reference"], plan["match"], missing, plan)


def _open(cells: Mapping[Path, Mapping[str, Any]]) -> list[str]:
    """A sentence for the seeds of a variant that met the same fate."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for place, cell in cells.items():
        seeds.setdefault((_label(cell), _fate(place)), []).append(str(cell["seed"]))
    return [
        f"{label}, seed {own[0]}: {fate}" if len(own) == 1 else f"{label}, seeds {', '.join(own)}: {fate}"
        for (label, fate), own in seeds.items()
    ]


def _fate(folder: Path) -> str:
    path = folder / "failed.json"
    if not path.is_file():
        return "not finished"
    try:
        return f"failed: {json.loads(path.read_text(encoding='utf-8')).get('reason', 'for an unknown reason')}"
    except (OSError, ValueError):
        return "failed"


def _label(cell: Mapping[str, Any]) -> str:
    return ", ".join([str(cell["arm"]), *(f"{factor}={level}" for factor, level in cell["levels"].items())])


def _key(cell: Mapping[str, Any]) -> str:
    return json.dumps([cell["arm"], cell["levels"]], sort_keys=True)


def _operators(arm: Arm) -> set[str]:
    node = arm.runs[0].results["model"].get("upsampler")
    nodes = node if isinstance(node, list) else [node]
    return {"none" if one is None else str(one["_target_"]).rsplit(".", 1)[-1] for one in nodes}
