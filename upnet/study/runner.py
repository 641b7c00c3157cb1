"""The cells of a study, one after the other: begun, gone on with, recorded, and shared with other processes."""

import os
import signal
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from upnet.cli.app import InterruptedRunError, in_multirun
from upnet.study.cells import BusyError, held
from upnet.study.code_version import differing
from upnet.study.design import Design
from upnet.study.execution import run_cell, tell
from upnet.study.expansion import Planner
from upnet.study.plan import Plan, Row, Seconds
from upnet.study.progress import gather, read_plan
from upnet.study.timing import rehearse
from upnet.utils.overrides import format_override, upnet_command
from upnet.utils.paths import display_path


class FailedCellsError(Exception):
    """Cells of a study failed; the others are through."""


def run_study(config: DictConfig) -> None:
    """The study of a composed config, in the folder that Hydra was given; of a multirun, in the one of all its runs.

    Raises as `study` does.
    """
    told = HydraConfig.get()
    folder = Path(told.sweep.dir).absolute() if in_multirun() else Path(config.run_dir)
    study(config, list(told.overrides.task), folder)


def study(config: DictConfig, words: Sequence[str], folder: Path) -> None:
    """Plan, then train every cell that isn't through yet and that nobody else is at work on.

    words: the overrides of the command line, which hold for all cells.

    Raises ValueError for whatever can be known to be wrong before training, also where cells were made by other code;
    InterruptedRunError after a Ctrl-C; and FailedCellsError where cells failed, once the others are through.
    """
    if config.ckpt is not None:
        raise ValueError(f"ckpt={config.ckpt} doesn't go with a study, which resumes its cells by itself; leave it out")
    if str(OmegaConf.select(config, "trainer.strategy")).startswith("ddp"):
        raise ValueError(
            "trainer=ddp doesn't go with a study, whose cells are independent; share them out between processes of one "
            "GPU each instead: -m study.worker=0,1 hydra/launcher=joblib 'trainer.devices=[${study.worker}]'"
        )
    plain = OmegaConf.to_container(config.study, resolve=True)
    assert isinstance(plain, dict)
    with _interruptible(folder):
        planner = Planner(Design.read({str(key): value for key, value in plain.items()}), words, folder)
        plan = planner.plan()
        _remember(plan)
        if plain["dry_run"]:
            for row in plan.rows:
                if row.refused is None:
                    row.seconds = _rehearse(planner, row)
        plan.print()
        if plan.refusals():
            raise ValueError(
                f"study: {len(plan.refusals())} of {len(plan.rows)} variants can't be had in regime "
                f"{plan.design.regime}: {'; '.join(plan.refusals())}. Leave these arms out, ~study.arms.NAME, or take "
                "another regime"
            )
        if plain["dry_run"]:
            if not _begun_otherwise(plan):
                plan.write()
            return
        _check_code(plan, accept=plain["accept_other_code"])
        plan.write()
        _work(planner, plan)
        _conclude(plan)


def _work(planner: Planner, plan: Plan) -> None:
    """Go through the cells until nothing is left to do for this process."""
    before = {cell.key: cell.failure() for cell in plan.cells}
    # A cell in which the process died again and again without coming farther waits until the others are through.
    order = sorted(plan.cells, key=lambda cell: (cell.deaths() > 1, cell.number))
    worked = True
    while worked:  # once more, since another process may have died at work on a cell that was passed over
        worked = False
        for cell in order:
            try:
                with held(cell):
                    # A cell that failed is tried again at the next start, and not by every process of this one.
                    if cell.results() is None and cell.failure() == before[cell.key]:
                        worked = True
                        run_cell(planner.config(plan.row(cell), cell.seed, cell.folder), plan, cell)
            except BusyError:
                continue


def _rehearse(planner: Planner, row: Row) -> Seconds:
    tell(f"timing a few steps of {row.variant.label}")
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        return rehearse(planner.config(row, planner.design.seeds[0], planner.folder))


def _remember(plan: Plan) -> None:
    """Take over what was measured for the same variants by an earlier dry run."""
    known = {
        (one["arm"], str(one["levels"]), str(one["changes"])): one["seconds"] for one in _written(plan)["variants"]
    }
    for row in plan.rows:
        told = known.get((row.variant.arm, str(dict(row.variant.levels)), str(dict(row.changes))))
        if told is not None:
            row.seconds = Seconds(**told)


def _begun_otherwise(plan: Plan) -> bool:
    """Whether the folder holds cells of another plan, which a dry run must not take the place of."""
    written = {cell["key"] for cell in _written(plan)["cells"]}
    return any((plan.folder / "cells").glob("*/cell.json")) and written != {cell.key for cell in plan.cells}


def _written(plan: Plan) -> Mapping[str, Any]:
    """The plan that lies in the folder; an empty one where there is none that can be read."""
    try:
        return read_plan(plan.folder)
    except ValueError:
        return {"variants": [], "cells": []}


def _check_code(plan: Plan, accept: bool) -> None:
    """Raise ValueError where cells were made, or begun, by other code than this, unless that is accepted.

    One that failed doesn't count: it begins anew, as it should after its fault was mended.
    """
    others = [
        (cell, cell.made_by()) for cell in plan.cells if cell.made_by() not in ({}, plan.code) and not cell.failure()
    ]
    if not others:
        return
    cell, made = others[0]
    told = (
        f"{len(others)} of {len(plan.cells)} cells of this study, such as {cell.name}, were made by other code than "
        f"runs now: then and now {'; '.join(differing(made, plan.code))}"
    )
    if not accept:
        raise ValueError(
            f"{told}. Put that code back, begin anew by hydra.run.dir=FOLDER, or add study.accept_other_code=true to "
            "keep these cells and make the others by the code of now"
        )
    tell(f"{told}; going on, as study.accept_other_code=true says")


def _conclude(plan: Plan) -> None:
    gather(plan)
    failed = [cell for cell in plan.cells if cell.results() is None and cell.failure()]
    waiting = [cell for cell in plan.cells if cell.results() is None and not cell.failure()]
    if failed:
        told = "; ".join(f"{cell.name}: {textwrap.shorten(cell.failure()['reason'], 150)}" for cell in failed[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise FailedCellsError(
            f"{len(failed)} of {len(plan.cells)} cells failed: {told}{more}. The same command tries them again"
        )
    if waiting:
        tell(f"\n{len(waiting)} of {len(plan.cells)} cells are at work in other processes; nothing is left for this")
        return
    tell(f"\nAll {len(plan.cells)} cells are through. Compare the arms by\n")
    tell(f"{upnet_command('evaluate')} {format_override('study', display_path(plan.folder))}")


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    """Whatever way a Ctrl-C arrives, end with how to go on."""
    try:
        yield
    except InterruptedRunError as fault:
        number, saved = fault.signal, "the cell at work is saved"
    except (KeyboardInterrupt, SystemExit):  # the latter is what Lightning makes of the former
        signal.signal(signal.SIGINT, signal.default_int_handler)
        number, saved = signal.SIGINT, "the cell at work goes on from its last checkpoint"
    else:
        return
    raise InterruptedRunError(
        f"interrupted; {saved}. The same command goes on where the study in {display_path(folder)} was", number
    )
