"""Write checkpoint files atomically, and keep earlier versions of last.ckpt."""

import io
import itertools
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from upnet.utils.atomic_io import open_atomic
from upnet.utils.run_dirs import LAST


class LoadedCheckpoint(Protocol):
    """A checkpoint file whose content is already in memory."""

    path: Path

    def take(self) -> dict[str, Any]: ...


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoints: atomic writes, and earlier versions of last.ckpt.

    keep:   number of earlier versions of last.ckpt, named last-1.ckpt (the newest), last-2.ckpt, …
    loaded: the checkpoint from which a run resumes, so that its file is not read a second time.

    last.ckpt is complete at every moment, even if the process is killed.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> checkpoint_io = AtomicCheckpointIO(keep=1)
    >>> for step in (1, 2, 3):
    ...     checkpoint_io.save_checkpoint({"step": step}, folder / "last.ckpt")
    >>> {path.name: torch.load(path)["step"] for path in sorted(folder.iterdir())}
    {'last-1.ckpt': 2, 'last.ckpt': 3}
    """

    def __init__(self, keep: int, loaded: LoadedCheckpoint | None = None) -> None:
        self.keep = keep
        self._loaded = loaded

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The content of a checkpoint; Lightning calls this when it restores a run."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded.path == Path(path):
            return loaded.take()
        return super().load_checkpoint(path, *args, **kwargs)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        storage_options: a second path for the same content, which is written before `path` is replaced.

        Raises OSError if the disk is full or read-only; earlier checkpoints are then unchanged.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # In memory first: torch's file writer hides the error of a full disk behind another one.
        content = io.BytesIO()
        torch.save(checkpoint, content)

        def update_other_files(temporary: Path) -> None:
            if storage_options is not None:
                _link(temporary, Path(storage_options))
            if path.name == LAST and path.exists():
                self._keep_earlier(path)

        # With a fixed temporary name, a process that is killed leaves at most one incomplete file.
        with open_atomic(path, _temporary(path), update_other_files) as file:
            file.write(content.getbuffer())

    def _keep_earlier(self, path: Path) -> None:
        earlier = [_earlier_path(path, age) for age in range(1, self.keep + 1)]
        for newer, older in reversed(list(itertools.pairwise(earlier))):
            if newer.exists():
                os.replace(newer, older)
        if earlier:
            _link(path, earlier[0])


def earlier_checkpoints(last: Path) -> list[Path]:
    """The earlier versions of last.ckpt that exist, newest first. A killed process may leave a gap in the numbers."""
    ages = {path: path.stem.removeprefix(f"{last.stem}-") for path in last.parent.glob(f"{last.stem}-*{last.suffix}")}
    return sorted((path for path, age in ages.items() if age.isdigit()), key=lambda path: int(ages[path]))


def _earlier_path(last: Path, age: int) -> Path:
    """The path of the version that was replaced `age` saves ago."""
    return last.with_name(f"{last.stem}-{age}{last.suffix}")


def _link(source: Path, path: Path) -> None:
    """Give a file a second name: a hard link or, on a file system without links, a copy."""
    temporary = _temporary(path)
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        with source.open("rb") as original, open_atomic(path, temporary) as copy:
            shutil.copyfileobj(original, copy)
        return
    try:
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # os.replace does nothing if both names are links to the same file


def _temporary(path: Path) -> Path:
    """The path of the temporary file while `path` is written."""
    return path.with_name(f".{path.name}.part")
