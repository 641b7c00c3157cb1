"""Running a study: plan it and train its cells one after the other. Several processes can share the cells.

An interrupted study is resumed by the same command.
"""

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
from upnet.study.plan import CellTiming, Plan, read_plan
from upnet.study.progress import write_progress
from upnet.training.timing import time_training
from upnet.utils.errors import InterruptedRunError, RunError, UserError
from upnet.utils.overrides import format_override, upnet_command
from upnet.utils.paths import display_path


class FailedCellsError(RunError):
    """Cells of a study failed. All other cells are finished."""


def run_study(config: Config, overrides: Sequence[str] | None = None, folder: Path | None = None) -> None:
    """Plan a study, then train every cell that isn't finished and that no other process works on.

    overrides: those that apply to all cells; by default those on the command line.
    folder:    of the study; by default the one that Hydra was given.

    Raises UserError for invalid settings or images, for rejected variants, and for cells that another version of the
    code trained, all before training; InterruptedRunError after Ctrl-C; FailedCellsError where cells failed, after all
    other cells are trained.

    On the command line:

        upnet train experiment=study/smoke study.dry_run=true    # print the plan and the expected duration
        upnet train experiment=study/smoke                       # train; the same command resumes
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
            _measure_timings(planner, plan)
        print_plan(plan)
        _check_rejections(plan)
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


def _check_rejections(plan: Plan) -> None:
    rejections = plan.rejections()
    if rejections:
        raise UserError(
            f"{len(rejections)} of {len(plan.variants)} variants are rejected: {'; '.join(rejections)}",
            setting="study.match",
            value=plan.design.match,
            cure="Remove these arms by ~study.arms.NAME, or choose another study.match",
        )


def _train_cells(planner: Planner, plan: Plan) -> None:
    """Train cells until none is left for this process."""
    failures_at_start = {cell.key: cell.failure() for cell in plan.cells}
    # A cell whose training repeatedly killed its process comes last.
    order = sorted(plan.cells, key=lambda cell: (cell.crashes() > 1, cell.number))
    has_trained = True
    while has_trained:  # again, because the process that trained a skipped cell may have died
        has_trained = False
        for cell in order:
            try:
                with claimed(cell):
                    # A failed cell is tried once per start of the study, and not by every process again.
                    if cell.results() is None and cell.failure() == failures_at_start[cell.key]:
                        has_trained = True
                        run_cell(planner.settings(plan.variant_of(cell), cell.seed, cell.folder), plan, cell)
            except CellBusyError:
                continue


def _measure_timings(planner: Planner, plan: Plan) -> None:
    """Time a few training steps of every variant that isn't rejected."""
    for planned in plan.variants:
        if planned.rejection is not None:
            continue
        print_now(f"timing a few steps of {planned.variant.label}")
        with open(os.devnull, "w", encoding="utf-8") as devnull, redirect_stdout(devnull):
            measured = time_training(planner.settings(planned, plan.design.seeds[0], plan.folder))
        planned.timing = CellTiming(measured.step, measured.validation, measured.setup)


def _restore_timings(plan: Plan) -> None:
    """Copy the timings of an earlier dry run to variants that have not changed."""
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
    except UserError:
        return {"variants": [], "cells": []}


def _check_code(plan: Plan, accept: bool) -> None:
    """Raise UserError where cells were trained by other code than this, unless that is accepted.

    Failed cells are exempt: they start from scratch, since the change of the code may be the correction.
    """
    versions = [(cell, cell.code_version()) for cell in plan.cells if not cell.failure()]
    others = [(cell, version) for cell, version in versions if version not in ({}, plan.code)]
    if not others:
        return
    cell, version = others[0]
    problem = (
        f"{len(others)} of {len(plan.cells)} cells of this study, such as {cell.name}, were trained by another version "
        f"of the code (recorded and current: {'; '.join(describe_differences(version, plan.code))})"
    )
    if not accept:
        raise UserError(
            problem,
            cure="Restore that version, start a new study with hydra.run.dir=FOLDER, or add "
            "study.accept_other_code=true to keep these cells and train the others with the current code",
        )
    print_now(f"{problem}; accepted because of study.accept_other_code=true")


def _report_outcome(plan: Plan) -> None:
    """Print where the results are. Raises FailedCellsError if there are failed cells."""
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
    print_now(f"\nAll {len(plan.cells)} cells are finished. To compare the arms, run\n")
    print_now(f"{upnet_command('evaluate')} {format_override('study', display_path(plan.folder))}")


@contextmanager
def _resumable_after_interrupt(folder: Path) -> Iterator[None]:
    """Convert the exceptions that Ctrl-C and signals raise to an InterruptedRunError that says how to resume."""
    try:
        yield
    except InterruptedRunError as error:
        signal_number, progress = error.signal, "the current cell is saved"
    except (KeyboardInterrupt, SystemExit):  # Lightning turns a KeyboardInterrupt into a SystemExit
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal_number, progress = signal.SIGINT, "the current cell resumes from its last checkpoint"
    else:
        return
    raise InterruptedRunError(
        f"interrupted; {progress}. The same command resumes the study in {display_path(folder)}", signal_number
    )
