"""The progress of a study: cells.json, and the expected duration of the unfinished cells.

cells.json, schema 1, written after every cell:

    {"schema": 1, "study": …, "finished": number of cells, "failed": number of cells,
     "cells": [{"number": …, "arm": …, "levels": {…}, "seed": …, "folder": …, "state": "finished", "failed" or "open",
                "reason": of a failure, "minutes": …, "datasets": {NAME: {"psnr": …, "ssim": …}}}]}
"""

import statistics
from pathlib import Path
from typing import Any

from upnet.evaluation.results import write_json
from upnet.study.cells import Cell
from upnet.study.plan import Plan
from upnet.utils.lock import locked


def write_progress(plan: Plan) -> None:
    """Write cells.json atomically, from the records in the folders of the cells."""
    with locked(plan.folder / ".gather.lock", lambda: None):
        cells = [_cell_content(cell, plan.folder) for cell in plan.cells]
        count = {state: sum(cell["state"] == state for cell in cells) for state in ("finished", "failed")}
        write_json({"schema": 1, "study": plan.design.name, **count, "cells": cells}, plan.folder / "cells.json")


def minutes_left(plan: Plan) -> float | None:
    """The expected duration of all unfinished cells.

    A cell is expected to take the mean duration of the finished cells of its variant; without these, the duration that
    a dry run measured; without that, the mean duration of all finished cells. None where none of these is known.
    """
    finished: dict[str, list[float]] = {}
    unfinished: list[Cell] = []
    for cell in plan.cells:
        minutes = cell.minutes()
        if minutes is None:
            unfinished.append(cell)
        else:
            finished.setdefault(cell.label, []).append(minutes)
    all_finished = [minutes for durations in finished.values() for minutes in durations]
    total = 0.0
    for cell in unfinished:
        measured = plan.variant_of(cell).minutes(plan.steps, plan.validations)
        if cell.label in finished:
            total += statistics.fmean(finished[cell.label])
        elif measured is not None:
            total += measured
        elif all_finished:
            total += statistics.fmean(all_finished)
        else:
            return None
    return total


def _cell_content(cell: Cell, folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = {
        "number": cell.number,
        "arm": cell.arm,
        "levels": dict(cell.levels),
        "seed": cell.seed,
        "folder": str(cell.folder.relative_to(folder)),
    }
    results, failure = cell.results(), cell.failure()
    if results is not None:
        means = {name: {key: scores[key] for key in ("psnr", "ssim")} for name, scores in results["datasets"].items()}
        return content | {"state": "finished", "minutes": results["minutes"], "datasets": means}
    if failure:
        return content | {"state": "failed", "reason": failure["reason"]}
    return content | {"state": "open"}
