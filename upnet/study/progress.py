"""How far a study is: cells.json, and the time that is left.

cells.json, schema 1, written whenever a cell ends:

    {"schema": 1, "study": …, "finished": how many, "failed": how many,
     "cells": [{"number": …, "arm": …, "levels": {…}, "seed": …, "folder": …, "state": "finished", "failed" or "open",
                "reason": why it failed, "minutes": …, "datasets": {NAME: {"psnr": …, "ssim": …}}}]}
"""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upnet.evaluation.results import write_json
from upnet.evaluation.schema import Plan as PlanContent
from upnet.evaluation.schema import read_json_object, validate
from upnet.study.cells import Cell
from upnet.study.design import Variant
from upnet.study.plan import PLAN, SCHEMA, Plan, duration
from upnet.utils.lock import locked
from upnet.utils.paths import resolve_inside


def read_plan(folder: Path) -> dict[str, Any]:
    """What plan.json of a study's folder says. Raises ValueError where it is none, or of another schema."""
    path = folder / PLAN
    content = read_json_object(path, "the plan of a study")
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a plan of schema {SCHEMA}; starting the study again writes one")
    validate(content, PlanContent, path, "plan")
    for cell in content["cells"]:
        resolve_inside(folder, cell["folder"])
    return content


def planned_runs(folder: Path) -> dict[Path, str | None]:
    """The folders of a study's cells, in the plan's order, and the variant of each in words; none without a plan."""
    if not (folder / PLAN).is_file():
        return {}
    cells = read_plan(folder)["cells"]
    return {folder / cell["folder"]: Variant(cell["arm"], cell["levels"]).label for cell in cells}


def gather(plan: Plan) -> None:
    """Write cells.json, whole or not at all, from what the cells' folders hold."""
    with locked(plan.folder / ".gather.lock", lambda: None):
        cells = [_state(cell, plan.folder) for cell in plan.cells]
        count = {state: sum(cell["state"] == state for cell in cells) for state in ("finished", "failed")}
        write_json({"schema": 1, "study": plan.design.name, **count, "cells": cells}, plan.folder / "cells.json")


def minutes_left(plan: Plan) -> str:
    """`; about 40 min left`, from the cells that are through or from a dry run; nothing where neither is there."""
    done: dict[str, list[float]] = {}
    left: list[Cell] = []
    for cell in plan.cells:
        minutes = cell.minutes()
        if minutes is None:
            left.append(cell)
        else:
            done.setdefault(cell.label, []).append(minutes)
    overall = [minutes for own in done.values() for minutes in own]
    total = 0.0
    for cell in left:
        planned = plan.row(cell).minutes(plan.steps, plan.validations)
        if cell.label in done:
            total += statistics.fmean(done[cell.label])
        elif planned is not None:
            total += planned
        elif overall:
            total += statistics.fmean(overall)
        else:
            return ""
    return f"; about {duration(total)} left"


def _state(cell: Cell, folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": cell.number,
        "arm": cell.arm,
        "levels": dict(cell.levels),
        "seed": cell.seed,
        "folder": str(cell.folder.relative_to(folder)),
    }
    results, failure = cell.results(), cell.failure()
    if results is not None:
        return told | {"state": "finished", "minutes": results["minutes"], "datasets": _means(results)}
    if failure:
        return told | {"state": "failed", "reason": failure["reason"]}
    return told | {"state": "open"}


def _means(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: {what: told[what] for what in ("psnr", "ssim")} for name, told in results["datasets"].items()}
