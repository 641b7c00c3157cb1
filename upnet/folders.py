"""The folder of a run: a new one, or that of the run that is gone on with. configs/train.yaml asks this."""

import os
import re
from pathlib import Path

LAST = "last.ckpt"
BEST = "best.ckpt"


def folder_of_run(ckpt: str | None, new: str) -> str:
    """Where a run's files go: into its own folder, where it goes on from a state of its last.ckpt; else into `new`.

    ckpt: the path of a checkpoint, `last` for that of the newest run, or nothing.
    """
    if ckpt is None:
        return new
    path = newest_checkpoint(Path("runs")) if ckpt == "last" else Path(ckpt)
    own = None if path is None else state_of_run(path)
    return new if own is None else str(own.parent.parent)


def state_of_run(path: Path) -> Path | None:
    """The path of a state of last.ckpt in its run's folder, also for a link to it or a path inside that folder.

    None for any other path.
    """
    for one in (path, Path(os.path.realpath(path))):
        if one.is_file() and one.parent.name == "checkpoints" and re.fullmatch(r"last(-\d+)?\.ckpt", one.name):
            return one
    return None


def folder_of_config(run: str) -> str | None:
    """Where in a run's folder Hydra keeps the command it was started by: nowhere, where an earlier start has it."""
    return None if (Path(run) / "config" / "hydra.yaml").exists() else "config"


def newest_checkpoint(folder: Path) -> Path | None:
    """The last.ckpt written last below a folder; None where there is none."""
    return max(folder.glob(f"**/checkpoints/{LAST}"), key=lambda path: path.stat().st_mtime, default=None)
