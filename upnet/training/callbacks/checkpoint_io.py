"""Write checkpoint files atomically, and keep earlier ones."""

import io
import itertools
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from upnet.utils.run_dirs import LAST


class Loaded(Protocol):
    """The content of a checkpoint file that was read before."""

    path: Path

    def take(self) -> dict[str, Any]: ...


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint to a temporary file, sync and rename it. Before last.ckpt is replaced, keep the earlier one.

    keep:   how many earlier states of last.ckpt are kept, as last-1.ckpt (the newest), last-2.ckpt and so on.
    loaded: the content of the checkpoint that a run resumes from, so that its file is not read a second time.

    Whenever the process is killed, the folder holds an intact last.ckpt.
    """

    def __init__(self, keep: int, loaded: Loaded | None = None) -> None:
        self.keep = keep
        self._loaded = loaded

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The content of a checkpoint, as Lightning asks for it when it restores a run."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded.path == Path(path):
            return loaded.take()
        return super().load_checkpoint(path, *args, **kwargs)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        storage_options: a second path for the same state, which exists before `path` is replaced.

        Raises OSError if the disk is full or read-only; the earlier checkpoints are unchanged then.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # In memory first: torch's own file writer hides that a disk is full behind another error.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        temporary = _temporary(path)
        try:
            with temporary.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if storage_options is not None:
                _link(temporary, Path(storage_options))
            if path.name == LAST and path.exists():
                self._keep_earlier(path)
            os.replace(temporary, path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def _keep_earlier(self, path: Path) -> None:
        earlier = [_earlier_path(path, age) for age in range(1, self.keep + 1)]
        for newer, older in reversed(list(itertools.pairwise(earlier))):
            if newer.exists():
                os.replace(newer, older)
        if earlier:
            _link(path, earlier[0])


def earlier_checkpoints(last: Path) -> list[Path]:
    """The earlier states of last.ckpt that exist, newest first. A process that was killed may have left a gap."""
    ages = {path: path.stem.removeprefix(f"{last.stem}-") for path in last.parent.glob(f"{last.stem}-*{last.suffix}")}
    return sorted((path for path, age in ages.items() if age.isdigit()), key=lambda path: int(ages[path]))


def _earlier_path(last: Path, age: int) -> Path:
    """Where the state that was replaced `age` saves ago is kept."""
    return last.with_name(f"{last.stem}-{age}{last.suffix}")


def _link(source: Path, path: Path) -> None:
    """Give a file a second name: a hard link or, on a file system without links, a copy."""
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # os.replace does nothing if both names already are the same file


def _temporary(path: Path) -> Path:
    """The name of a file while it is written."""
    return path.with_name(f".{path.name}.part")


def _sync(folder: Path) -> None:
    """Make a rename survive a power failure, on systems where a folder can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
