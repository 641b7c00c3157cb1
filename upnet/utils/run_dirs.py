"""Choose the folder of a run: a new one, or that of the resumed run. The configs call these functions as resolvers."""

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

_WAIT_SECONDS = 60.0
"""Time limit for the first process of a launch to name the folder."""
_MAX_LAUNCH_FILE_AGE = 600.0
"""An older launch file, in seconds, belongs to an earlier launch."""


def resolve_run_dir(ckpt: str | None, new: str, mode: Enum | None = None) -> str:
    """The folder of a run: that of the checkpoint if `ckpt` is a last.ckpt of a run, else `new`.

    ckpt: path of a checkpoint, "last" for that of the newest run, or None.
    mode: see `create_run_dir`.

    >>> resolve_run_dir(None, "runs/new")
    'runs/new'
    """
    if ckpt is None:
        return create_run_dir(new, mode)
    path = newest_checkpoint(Path("runs")) if ckpt == "last" else expand_user(ckpt)
    checkpoint = None if path is None else resumable_checkpoint(path)
    return create_run_dir(new, mode) if checkpoint is None else str(checkpoint.parent.parent)


def create_run_dir(name: str, mode: Enum | None, creating_mode: str = "RUN") -> str:
    """Create a folder that no other run uses and return it: `name`, or name-2, name-3, … if it exists.

    mode:          Hydra's RunMode; None while a config is only shown.
    creating_mode: name of the mode that creates the folder. In any other mode nothing is created.

    All processes of a launch (torchrun, srun) return the folder of the first process, even if they start seconds apart:
    the first process writes its name to a launch file, and the others wait for that file.

    >>> create_run_dir("runs/new", mode=None)
    'runs/new'
    """
    if mode is None or mode.name != creating_mode:
        return name
    launch = current_launch()
    if launch is None:
        return _create_unused(name)
    launch_file, rank = Path("runs") / f".launch-{launch[0]}", launch[1]
    if rank > 0:
        return _wait_for_first_process(launch_file) or _create_unused(name)
    folder = _create_unused(name)
    with suppress(OSError):  # if runs/ is not writable, the other processes create their own folders
        launch_file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(folder, launch_file)
    return folder


def create_sweep_dir(name: str, mode: Enum | None) -> str:
    """Create the folder of a multirun, see `create_run_dir`.

    >>> create_sweep_dir("multirun/new", mode=None)
    'multirun/new'
    """
    return create_run_dir(name, mode, "MULTIRUN")


def current_launch() -> tuple[str, int] | None:
    """Identifier of the launch that this process belongs to, and its rank; None for a single process.

    They are read from the environment variables of torchrun or srun, or from MASTER_ADDR and NODE_RANK, which users set
    who start one process per machine.
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
    """The path of a last.ckpt (or last-1.ckpt, …) in the folder of its run, links resolved; None for other files.

    >>> resumable_checkpoint(Path("weights.ckpt")) is None
    True
    """
    for candidate in (path, Path(os.path.realpath(path))):
        is_last = re.fullmatch(r"last(-\d+)?\.ckpt", candidate.name)
        if candidate.is_file() and candidate.parent.name == "checkpoints" and is_last:
            return candidate
    return None


def config_subdir(run: str) -> str | None:
    """Subfolder of a run in which Hydra saves the config; None, which saves nothing, if an earlier start has saved it.

    >>> config_subdir("runs/new")
    'config'
    """
    return None if (Path(run) / "config" / "hydra.yaml").exists() else "config"


def newest_checkpoint(folder: Path) -> Path | None:
    """The most recently written last.ckpt below a folder; None if there is none.

    >>> newest_checkpoint(Path("no-such-folder")) is None
    True
    """
    return max(folder.glob(f"**/checkpoints/{LAST}"), key=lambda path: path.stat().st_mtime, default=None)


def _create_unused(name: str) -> str:
    """Create the first of name, name-2, name-3, … that does not exist. mkdir is atomic between processes."""
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


def _wait_for_first_process(launch_file: Path) -> str | None:
    """The folder that the first process of this launch wrote to the file; None if there is none after _WAIT_SECONDS."""
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if time.time() - launch_file.stat().st_mtime < _MAX_LAUNCH_FILE_AGE:
                return launch_file.read_text(encoding="utf-8")
        time.sleep(0.1)
    return None
