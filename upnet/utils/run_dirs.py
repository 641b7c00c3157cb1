"""The folder of a run: a new one, or that of the run that is resumed. The configs use these functions as resolvers."""

import os
import re
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path

from upnet.utils.atomic_io import atomic_write
from upnet.utils.paths import expand_user

LAST = "last.ckpt"
BEST = "best.ckpt"

_PATIENCE = 60.0
_FRESH = 600.0


def resolve_run_dir(ckpt: str | None, new: str, mode: Enum | None = None) -> str:
    """The folder of a run: the run's own folder if `ckpt` is a state of its last.ckpt, else `new`.

    ckpt: the path of a checkpoint, `last` for that of the newest run, or None.
    mode: see create_run_dir.
    """
    if ckpt is None:
        return create_run_dir(new, mode)
    path = newest_checkpoint(Path("runs")) if ckpt == "last" else expand_user(ckpt)
    own = None if path is None else resumable_checkpoint(path)
    return create_run_dir(new, mode) if own is None else str(own.parent.parent)


def create_run_dir(name: str, mode: Enum | None, starts: str = "RUN") -> str:
    """A folder that no other run has: `name`, or name-2, name-3, … where it exists. It is created at once.

    mode:   Hydra's RunMode; None while a config is only shown.
    starts: the name of the mode that creates the folder. In any other mode `name` is returned and nothing is created.

    All processes of one training get the folder of its first process, also where they start seconds apart.
    """
    if mode is None or mode.name != starts:
        return name
    launch = current_launch()
    if launch is None:
        return _create(name)
    note, rank = Path("runs") / f".launch-{launch[0]}", launch[1]
    if rank > 0:
        return _of_first_process(note) or _create(name)
    folder = _create(name)
    with suppress(OSError):  # where runs/ can't be written, the other processes create folders of their own
        note.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(folder, note)
    return folder


def create_sweep_dir(name: str, mode: Enum | None) -> str:
    """The new folder of a multirun."""
    return create_run_dir(name, mode, "MULTIRUN")


def current_launch() -> tuple[str, int] | None:
    """A name of this launch and the rank of this process; None where this process was started alone.

    Read are the variables of torchrun, of srun, and those by which a user starts one process per machine.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env and int(env.get("WORLD_SIZE", "1")) > 1:
        keys = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT")
        rank = env.get("RANK", "0")
    elif "SLURM_STEP_ID" in env and int(env.get("SLURM_NTASKS", "1")) > 1:
        keys, rank = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"), env.get("SLURM_PROCID", "0")
    elif "NODE_RANK" in env and "MASTER_ADDR" in env:
        keys, rank = ("MASTER_ADDR", "MASTER_PORT"), env["NODE_RANK"]
    else:
        return None
    return re.sub(r"[^\w.-]", "_", "-".join(env.get(key, "0") for key in keys)), int(rank)


def resumable_checkpoint(path: Path) -> Path | None:
    """The path of a state of last.ckpt in its run's folder, also for a link to it or a path inside that folder.

    None for any other path.
    """
    for one in (path, Path(os.path.realpath(path))):
        if one.is_file() and one.parent.name == "checkpoints" and re.fullmatch(r"last(-\d+)?\.ckpt", one.name):
            return one
    return None


def config_subdir(run: str) -> str | None:
    """Where in a run's folder Hydra keeps the command it was started by: nowhere, where an earlier start has it."""
    return None if (Path(run) / "config" / "hydra.yaml").exists() else "config"


def newest_checkpoint(folder: Path) -> Path | None:
    """The last.ckpt written last below a folder; None where there is none."""
    return max(folder.glob(f"**/checkpoints/{LAST}"), key=lambda path: path.stat().st_mtime, default=None)


def _create(name: str) -> str:
    """Create the first of name, name-2, name-3, … that doesn't exist. mkdir decides between processes."""
    folder, number = name, 1
    while True:
        try:
            os.makedirs(folder)
        except FileExistsError:
            number += 1
            folder = f"{name}-{number}"
        except OSError:
            return folder  # Hydra meets the same error and reports it
        else:
            return folder


def _of_first_process(note: Path) -> str | None:
    """The folder that the first process of this launch has noted; None where it notes none within a minute."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if time.time() - note.stat().st_mtime < _FRESH:  # an older note is that of an earlier launch
                return note.read_text(encoding="utf-8")
        time.sleep(0.1)
    return None
