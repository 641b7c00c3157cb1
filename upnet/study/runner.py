"""Running a study: its cells one after the other, resumable, and shared with other processes."""

import os
import signal
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from upnet.config.compose import Config, job_folder, job_overrides, plain_mapping
from upnet.study.cells import CellBusyError, claimed
from upnet.study.code_version import describe_differences
from upnet.study.design import Design
from upnet.study.execution import print_now, run_cell
from upnet.study.expansion import Planner
from upnet.study.overview import print_plan, write_plan
from upnet.study.plan import CellTiming, Plan, PlannedVariant, read_plan
from upnet.study.progress import write_progress
from upnet.training.timing import time_training
from upnet.utils.errors import InterruptedRunError, RunError, UserError
from upnet.utils.overrides import format_override, upnet_command
from upnet.utils.paths import display_path


class FailedCellsError(RunError):
    """Cells of a study failed. All other cells are finished."""


def run_study(config: Config, overrides: Sequence[str] | None = None, folder: Path | None = None) -> None:
    """Plan a study, then train every cell that isn't finished and that no other process works on.

    overrides: those that hold for all cells; by default those on the command line.
    folder:    of the study; by default the one that Hydra was given.

    Raises UserError for what is wrong before training, also where cells were trained by other code; InterruptedRunError
    after Ctrl-C; FailedCellsError where cells failed, after the other cells.
    """
    overrides = job_overrides() if overrides is None else overrides
    folder = job_folder(config) if folder is None else folder
    _check_settings(config)
    settings = plain_mapping(config.study)
    with _resumable_after_interrupt(folder):
        planner = Planner(Design.from_config(settings), overrides, folder)
        plan = planner.plan()
        _restore_timings(plan)
        if settings["dry_run"]:
            for planned in plan.variants:
                if planned.rejection is None:
                    planned.timing = _measure(planner, planned)
        print_plan(plan)
        if plan.rejections():
            raise UserError(
                f"{len(plan.rejections())} of {len(plan.variants)} variants are rejected: "
                f"{'; '.join(plan.rejections())}",
                setting="study.match",
                value=plan.design.match,
                cure="Remove these arms by ~study.arms.NAME, or choose another study.match",
            )
        if settings["dry_run"]:
            if not _has_cells_of_another_plan(plan):
                write_plan(plan)
            return
        _check_code(plan, accept=settings["accept_other_code"])
        write_plan(plan)
        _train_cells(planner, plan)
        _report_outcome(plan)


def _check_settings(config: Config) -> None:
    if config.ckpt is not None:
        raise UserError(
            "does not apply to a study, which resumes its cells by itself",
            setting="ckpt",
            value=config.ckpt,
            cure="Remove ckpt",
        )
    if str(config.trainer.get("strategy")).startswith("ddp"):
        raise UserError(
            "does not apply to a study, whose cells are independent trainings",
            setting="trainer.strategy",
            value=config.trainer.strategy,
            cure="Start one process per GPU instead: -m study.worker=0,1 hydra/launcher=joblib "
            "'trainer.devices=[${study.worker}]'",
        )


def _train_cells(planner: Planner, plan: Plan) -> None:
    """Train cells until none is left for this process."""
    failures_at_start = {cell.key: cell.failure() for cell in plan.cells}
    # A cell that repeatedly killed its process without progress waits until the others are finished.
    order = sorted(plan.cells, key=lambda cell: (cell.crashes() > 1, cell.number))
    worked = True
    while worked:  # again, because another process may have died on a cell that was skipped
        worked = False
        for cell in order:
            try:
                with claimed(cell):
                    # A failed cell is tried once per start of the study, not once by every process.
                    if cell.results() is None and cell.failure() == failures_at_start[cell.key]:
                        worked = True
                        run_cell(planner.settings(plan.variant_of(cell), cell.seed, cell.folder), plan, cell)
            except CellBusyError:
                continue


def _measure(planner: Planner, planned: PlannedVariant) -> CellTiming:
    print_now(f"timing a few steps of {planned.variant.label}")
    with open(os.devnull, "w", encoding="utf-8") as devnull, redirect_stdout(devnull):
        measured = time_training(planner.settings(planned, planner.design.seeds[0], planner.folder))
    return CellTiming(measured.step, measured.validation, measured.setup)


def _restore_timings(plan: Plan) -> None:
    """Take over the timings of an earlier dry run for variants that have not changed."""
    earlier = {
        (entry["arm"], str(entry["levels"]), str(entry["changes"])): entry["seconds"]
        for entry in _plan_in_folder(plan)["variants"]
    }
    for planned in plan.variants:
        variant = planned.variant
        seconds = earlier.get((variant.arm, str(dict(variant.levels)), str(dict(planned.changes))))
        if seconds is not None:
            planned.timing = CellTiming(seconds["step"], seconds["validation"], seconds["beside"])


def _has_cells_of_another_plan(plan: Plan) -> bool:
    """Whether the folder contains cells of another plan, whose plan.json a dry run must not replace."""
    keys = {cell["key"] for cell in _plan_in_folder(plan)["cells"]}
    return any((plan.folder / "cells").glob("*/cell.json")) and keys != {cell.key for cell in plan.cells}


def _plan_in_folder(plan: Plan) -> Mapping[str, Any]:
    """The content of the folder's plan.json; an empty plan where it can't be read."""
    try:
        return read_plan(plan.folder)
    except ValueError:
        return {"variants": [], "cells": []}


def _check_code(plan: Plan, accept: bool) -> None:
    """Raise UserError where cells were trained by other code than this, unless that is accepted.

    A failed cell does not count: it starts from scratch, since the change may be the correction of its fault.
    """
    versions = [(cell, cell.code_version()) for cell in plan.cells if not cell.failure()]
    others = [(cell, version) for cell, version in versions if version not in ({}, plan.code)]
    if not others:
        return
    cell, version = others[0]
    problem = (
        f"{len(others)} of {len(plan.cells)} cells of this study, such as {cell.name}, were trained by another version "
        f"of the code; then and now: {'; '.join(describe_differences(version, plan.code))}"
    )
    if not accept:
        raise UserError(
            problem,
            cure="Restore that version, start a new study with hydra.run.dir=FOLDER, or add "
            "study.accept_other_code=true to keep these cells and train the others by the present code",
        )
    print_now(f"{problem}; accepted because of study.accept_other_code=true")


def _report_outcome(plan: Plan) -> None:
    write_progress(plan)
    failed = [cell for cell in plan.cells if cell.results() is None and cell.failure()]
    waiting = [cell for cell in plan.cells if cell.results() is None and not cell.failure()]
    if failed:
        reasons = "; ".join(f"{cell.name}: {textwrap.shorten(cell.failure()['reason'], 150)}" for cell in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise FailedCellsError(
            f"{len(failed)} of {len(plan.cells)} cells failed: {reasons}{more}. The same command tries them again"
        )
    if waiting:
        print_now(f"\n{len(waiting)} of {len(plan.cells)} cells are being trained by other processes; nothing to do")
        return
    print_now(f"\nAll {len(plan.cells)} cells are finished. Compare the arms by\n")
    print_now(f"{upnet_command('evaluate')} {format_override('study', display_path(plan.folder))}")


@contextmanager
def _resumable_after_interrupt(folder: Path) -> Iterator[None]:
    """Turn every form of Ctrl-C into an InterruptedRunError that says how to resume."""
    try:
        yield
    except InterruptedRunError as error:
        number, saved = error.signal, "the current cell is saved"
    except (KeyboardInterrupt, SystemExit):  # Lightning turns a KeyboardInterrupt into a SystemExit
        signal.signal(signal.SIGINT, signal.default_int_handler)
        number, saved = signal.SIGINT, "the current cell resumes from its last checkpoint"
    else:
        return
    raise InterruptedRunError(
        f"interrupted; {saved}. The same command resumes the study in {display_path(folder)}", number
    )
