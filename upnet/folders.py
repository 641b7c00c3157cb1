"""The folder of a run: a new one, or that of the run that is gone on with. configs/train.yaml asks this."""

import re
from pathlib import Path

from upnet.command_line import user_path

LAST = "last.ckpt"


def folder_of_run(ckpt: str | None, new: str) -> str:
    """Where a run's files go: into its own folder, where it goes on from a state of its last.ckpt; else into `new`.

    ckpt: the path of a checkpoint, `last` for that of the newest run, or nothing.
    """
    if ckpt is None:
        return new
    path = newest_checkpoint(Path("runs")) if ckpt == "last" else user_path(ckpt)
    own = path is not None and path.parent.name == "checkpoints" and re.fullmatch(r"last(-\d+)?\.ckpt", path.name)
    return str(path.parent.parent) if path is not None and own and path.is_file() else new


def folder_of_config(run: str) -> str | None:
    """Where in a run's folder Hydra keeps the command it was started by: nowhere, where an earlier start has it."""
    return None if (Path(run) / "config" / "hydra.yaml").exists() else "config"


def newest_checkpoint(folder: Path) -> Path | None:
    """The last.ckpt written last below a folder; None where there is none."""
    return max(folder.glob(f"**/checkpoints/{LAST}"), key=lambda path: path.stat().st_mtime, default=None)
