"""Checkpoint files that are whole or not there, and the ones before the last."""

import io
import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from upnet.utils.run_dirs import LAST


class CheckpointFiles(TorchCheckpointIO):
    """Write a checkpoint aside, sync it, rename it; before last.ckpt is replaced, keep what it was.

    keep: how many earlier states of last.ckpt stay, as last-1.ckpt, the newest of them, last-2.ckpt and so on.

    Whenever the process is killed, the folder holds a whole last.ckpt.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint; `storage_options` is a second path for the same state, which is there before `path` is.

        Raises OSError where the disk is full or read-only; the checkpoints that were there are then untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # By way of memory: torch's own writer turns a full disk into an error that says nothing of it.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        aside = _aside(path)
        try:
            with aside.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if storage_options is not None:
                _link(aside, Path(storage_options))
            if path.name == LAST and path.exists():
                self._keep(path)
            os.replace(aside, path)
            _sync(path.parent)
        finally:
            aside.unlink(missing_ok=True)

    def _keep(self, path: Path) -> None:
        earlier = [_earlier_path(path, age) for age in range(1, self.keep + 1)]
        for younger, older in reversed(list(itertools.pairwise(earlier))):
            if younger.exists():
                os.replace(younger, older)
        if earlier:
            _link(path, earlier[0])


def _link(source: Path, path: Path) -> None:
    """Give a file a second name, by a hard link or, on a file system without them, by a copy."""
    aside = _aside(path)
    aside.unlink(missing_ok=True)
    try:
        try:
            os.link(source, aside)
        except OSError:
            shutil.copyfile(source, aside)
            with aside.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)  # os.replace does nothing where both names are the same file already


def _aside(path: Path) -> Path:
    """The name of a file as long as it is being written."""
    return path.with_name(f".{path.name}.part")


def _earlier_path(last: Path, age: int) -> Path:
    """Where the state of last.ckpt that was replaced `age` savings ago is kept."""
    return last.with_name(f"{last.stem}-{age}{last.suffix}")


def earlier_paths(last: Path) -> list[Path]:
    """The earlier states of last.ckpt that are there, the newest first; a process killed amid keeping leaves a gap."""
    ages = {path: path.stem.removeprefix(f"{last.stem}-") for path in last.parent.glob(f"{last.stem}-*{last.suffix}")}
    return sorted((path for path, age in ages.items() if age.isdigit()), key=lambda path: int(ages[path]))


def _sync(folder: Path) -> None:
    """Make a renaming last, where folders can be opened at all."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
