"""The arms of a report in the order of display, the reference arm, and the planned runs without results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from upnet.study.arm_names import operator_names
from upnet.study.design import MATCH_MODES, Variant
from upnet.study.finished_runs import Arm, comparable_arms
from upnet.study.plan import PLAN, read_plan
from upnet.utils.errors import UserError


@dataclass(frozen=True)
class ArmEntry:
    """An arm as the report shows it.

    name:         the arm's name, with its factor levels.
    group:        the factor levels, `skip=with`; arms are compared within a group. Empty without factors.
    is_reference: whether the other arms of the group are compared with this one.
    changes:      the settings that matching changed.
    """

    name: str
    arm: Arm
    group: str = ""
    is_reference: bool = False
    changes: str = ""


@dataclass(frozen=True)
class ReportedStudy:
    """A study as the report shows it.

    entries:   the arms in the order of display.
    reference: the name of the reference arm, without factor levels.
    match:     the quantity that is equal in all arms, see `upnet.study.design.MATCH_MODES`.
    missing:   one sentence, without full stop, on each variant or run that was planned or started and has no results.
    plan:      the content of plan.json; empty for a multirun.
    """

    name: str
    entries: Sequence[ArmEntry]
    reference: str
    match: str
    missing: Sequence[str] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def match_label(self) -> str:
        """The match mode with its description: `none (every arm as configured)`."""
        description = MATCH_MODES.get(self.match)
        return self.match if description is None else f"{self.match} ({description})"


def reported_study(folder: Path, arms: Sequence[Arm], unfinished: Sequence[Path]) -> ReportedStudy:
    """The study in a folder, with a plan or from a multirun.

    arms, unfinished: as `read_study` returned them.

    The reference of a multirun is the transposed convolution if it is one of the arms, else the first arm. Arms of
    another protocol group than the first are left out and listed as missing, because their numbers are not comparable.

    Raises UserError if no cell of a plan is finished.
    """
    shown = comparable_arms(arms)
    missing = [
        f"{arm.name} was evaluated by another protocol or on other images and is left out"
        for arm in arms
        if arm.protocol_group != arms[0].protocol_group
    ]
    if (folder / PLAN).is_file():
        return _planned_study(folder, read_plan(folder), shown, missing)
    missing += [f"{path.name} is not finished" for path in unfinished]
    reference = next((arm for arm in shown if _is_transposed(arm)), shown[0])
    entries = [ArmEntry(arm.name, arm, is_reference=arm is reference) for arm in shown]
    return ReportedStudy(folder.resolve().name, entries, reference.name, "none", missing)


def _planned_study(folder: Path, plan: dict[str, Any], arms: Sequence[Arm], missing: list[str]) -> ReportedStudy:
    cells = {(folder / cell["folder"]).resolve(): cell for cell in plan["cells"]}
    variants = {_key(variant): variant for variant in plan["variants"]}
    entries: dict[str, ArmEntry] = {}
    for arm in arms:
        cell = next((cells[run.folder.resolve()] for run in arm.runs if run.folder.resolve() in cells), None)
        if cell is None:
            missing.append(f"{arm.name} has runs in the folder but is not in the plan, and is left out")
            continue
        levels = ", ".join(f"{factor}={level}" for factor, level in cell["levels"].items())
        changes = variants.get(_key(cell), {}).get("changes") or {}
        changed = ", ".join(f"{path}={value}" for path, value in changes.items())
        entries[_key(cell)] = ArmEntry(_label(cell), arm, levels, cell["arm"] == plan["reference"], changed)
    missing += [
        f"{_label(variant)} was rejected: {variant['refused']}" for variant in plan["variants"] if variant["refused"]
    ]
    finished = {run.folder.resolve() for entry in entries.values() for run in entry.arm.runs}
    missing += _unfinished_cells({path: cell for path, cell in cells.items() if path not in finished})
    if not entries:
        raise UserError(
            "no cell of the plan is finished",
            setting="study",
            value=str(folder),
            cure="Start the study again to resume",
        )
    ordered = [entries[key] for key in variants if key in entries]
    return ReportedStudy(plan["study"], ordered, plan["reference"], plan["match"], missing, plan)


def _unfinished_cells(cells: Mapping[Path, Mapping[str, Any]]) -> list[str]:
    """One sentence per variant and state, with the seeds of its cells."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for path, cell in cells.items():
        seeds.setdefault((_label(cell), _state(path)), []).append(str(cell["seed"]))
    return [
        f"{label}, {'seed' if len(numbers) == 1 else 'seeds'} {', '.join(numbers)}: {state}"
        for (label, state), numbers in seeds.items()
    ]


def _state(folder: Path) -> str:
    """`not finished`, or `failed: REASON`."""
    path = folder / "failed.json"
    if not path.is_file():
        return "not finished"
    try:
        return f"failed: {json.loads(path.read_text(encoding='utf-8')).get('reason', 'for an unknown reason')}"
    except (OSError, ValueError):
        return "failed"


def _label(entry: Mapping[str, Any]) -> str:
    """The label of a cell or variant of plan.json."""
    return Variant(entry["arm"], entry["levels"]).label


def _key(entry: Mapping[str, Any]) -> str:
    """Identifies the variant of a cell or variant of plan.json."""
    return json.dumps([entry["arm"], entry["levels"]], sort_keys=True)


def _is_transposed(arm: Arm) -> bool:
    return set(operator_names(arm.runs[0].results["model"])) == {"Transposed"}
