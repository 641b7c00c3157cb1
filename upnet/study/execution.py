"""One cell of a study: begun or gone on with, and recorded."""

import gc
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from upnet.checkpoint import read
from upnet.cli.app import InterruptedRunError
from upnet.study.cells import LOCK, Cell, begin, end, fail
from upnet.study.plan import Plan, duration
from upnet.study.progress import gather, minutes_left
from upnet.training.callbacks import earlier_paths
from upnet.training.factory import training_settings
from upnet.training.runner import train
from upnet.utils.paths import display_path

KEPT = {"cell.json", "failed.json", "output.txt", LOCK, ".lock"}
"""What stays in a cell's folder when it has to begin from nothing."""


def run_cell(config: DictConfig, plan: Plan, cell: Cell) -> None:
    """Train a cell that this process holds, from its last checkpoint on, and record how it ended.

    Raises nothing for a cell that fails; what breaks the study off passes through.
    """
    mended = cell.failure() and cell.made_by() != plan.code
    checkpoint, step = (None, 0) if mended else _resumable(cell.folder, config)
    if checkpoint is None:
        _clear(cell.folder)
    config.ckpt = None if checkpoint is None else str(checkpoint)
    begin(cell, plan.code, step)
    from_step = f" from step {step} on" if step else ""
    tell(f"cell {cell.number} of {len(plan.cells)}: {cell.name}{from_step}{minutes_left(plan)}")
    try:
        with (cell.folder / "output.txt").open("a", encoding="utf-8") as output, redirect_stdout(output):
            content = train(config)
    except (InterruptedRunError, KeyboardInterrupt, SystemExit):
        end(cell, "interrupted")
        raise
    except Exception as fault:  # whatever it is, it is this cell's: recorded, told, and counted in the exit code
        tell(f"  failed: {fail(cell, fault)}; see {display_path(cell.folder / 'failed.json')}")
    else:
        end(cell, "finished")
        scores = ", ".join(f"{told['psnr']:.3f} dB on {name}" for name, told in content["datasets"].items())
        tell(f"  {scores}, after {duration(content['minutes'])}")
    gather(plan)
    # What is left of a network that didn't fit into memory must not take away that of the next.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _resumable(folder: Path, config: DictConfig) -> tuple[Path | None, int]:
    """The newest whole checkpoint of a cell that isn't its end, and its step; None and 0 where there is none.

    A cell that died between its last checkpoint and its results goes on from the one before. One of other settings, as
    after pictures were moved, is not gone on from: beginning anew gives the same result.
    """
    model, settings = OmegaConf.to_container(config.model), training_settings(config)
    last = folder / "checkpoints" / "last.ckpt"
    for path in (last, *earlier_paths(last)):
        try:
            told = read(path)["upnet"]
        except ValueError:
            continue  # missing or damaged
        if told["model"] == model and told["settings"] == settings and told["step"] < config.steps:
            return path, int(told["step"])
    return None, 0


def _clear(folder: Path) -> None:
    """Remove what an attempt left that nothing goes on from."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in KEPT:
            path.unlink()


def tell(line: str) -> None:
    """A line on the terminal, at once."""
    print(line, flush=True)
