"""Training one cell of a study: from the start or from its last checkpoint, with a record of the outcome."""

import gc
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import torch

from upnet.checkpoint import read
from upnet.config.schema import TrainSettings
from upnet.study.cells import LOCK, Cell, begin_session, end_session, record_failure
from upnet.study.overview import format_duration
from upnet.study.plan import Plan
from upnet.study.progress import minutes_left, write_progress
from upnet.training.callbacks import earlier_checkpoints
from upnet.training.factory import training_settings
from upnet.training.runner import train
from upnet.utils.errors import InterruptedRunError, UserError
from upnet.utils.paths import display_path

KEPT_FILES = {"cell.json", "failed.json", "output.txt", LOCK, ".lock"}
"""The files that stay in a cell's folder when its training starts from scratch."""


def run_cell(settings: TrainSettings, plan: Plan, cell: Cell) -> None:
    """Train a cell that this process has claimed, from its last checkpoint on, and record the outcome.

    The failure of a cell is recorded and printed. Only what interrupts the whole study is raised.
    """
    failed_with_other_code = cell.failure() and cell.code_version() != plan.code
    checkpoint, step = (None, 0) if failed_with_other_code else _resumable_checkpoint(cell.folder, settings)
    if checkpoint is None:
        _clear(cell.folder)
    settings = replace(settings, ckpt=None if checkpoint is None else str(checkpoint))
    begin_session(cell, plan.code, step)
    resumed = f", resumed at step {step}" if step else ""
    print_now(f"cell {cell.number} of {len(plan.cells)}: {cell.name}{resumed}{_time_left(plan)}")
    try:
        with (cell.folder / "output.txt").open("a", encoding="utf-8") as output, redirect_stdout(output):
            results = train(settings)
    except (InterruptedRunError, KeyboardInterrupt, SystemExit):
        end_session(cell, "interrupted")
        raise
    except Exception as error:  # any error concerns this cell alone: it is recorded, and the study exits with code 1
        print_now(f"  failed: {record_failure(cell, error)}; see {display_path(cell.folder / 'failed.json')}")
    else:
        end_session(cell, "finished")
        scores = ", ".join(f"{scores['psnr']:.3f} dB on {name}" for name, scores in results["datasets"].items())
        print_now(f"  {scores} in {format_duration(results['minutes'])}")
    write_progress(plan)
    # After an out-of-memory error the memory of this cell's network must be free for the next one.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _time_left(plan: Plan) -> str:
    minutes = minutes_left(plan)
    return "" if minutes is None else f"; about {format_duration(minutes)} left"


def _resumable_checkpoint(folder: Path, settings: TrainSettings) -> tuple[Path | None, int]:
    """The newest valid checkpoint of a cell before its last step, and its step; None and 0 where there is none.

    If the process died between the last step's checkpoint and results.json, the cell resumes from the checkpoint before
    that one. A checkpoint with other settings, for example after images were moved, is not resumed: a training from
    scratch gives the same result.
    """
    recorded = training_settings(settings)
    last = folder / "checkpoints" / "last.ckpt"
    for path in (last, *earlier_checkpoints(last)):
        try:
            metadata = read(path)["upnet"]
        except UserError:
            continue  # missing or damaged
        if (
            metadata["model"] == settings.model
            and metadata["settings"] == recorded
            and metadata["step"] < settings.steps
        ):
            return path, int(metadata["step"])
    return None, 0


def _clear(folder: Path) -> None:
    """Remove the files of an earlier attempt that can't be resumed."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in KEPT_FILES:
            path.unlink()


def print_now(line: str) -> None:
    """Print a line and flush, so that it appears at once in a pipe or a log as well."""
    print(line, flush=True)
