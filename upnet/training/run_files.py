"""Protect the files of a run: a lock on its folder, no overwriting of another run, explained disk errors."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pytorch_lightning.loggers import TensorBoardLogger

from upnet.utils.errors import RunError, UserError
from upnet.utils.lock import locked
from upnet.utils.overrides import format_override
from upnet.utils.printable import escape_unprintable
from upnet.utils.run_dirs import LAST

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class UnwritableRunError(RunError):
    """A file of a run cannot be written, for example because the disk is full.

    The message says which checkpoint is saved and how to continue.
    """


@contextmanager
def explain_disk_errors(folder: Path) -> Iterator[None]:
    """Raise UnwritableRunError for an OSError while files of a run are written. Earlier files are intact."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        last = folder / "checkpoints" / LAST
        saved = f"The last checkpoint is intact: {last}" if last.is_file() else "No checkpoint was saved yet"
        resume = f"{format_override('ckpt', last)} {format_override('hydra.run.dir', folder)}"
        raise UnwritableRunError(
            f"{error.filename or folder} cannot be written: {error.strerror}. {saved}. Free some space or make the "
            "folder writable, and continue with the same command and "
            f"{resume if last.is_file() else format_override('hydra.run.dir', folder)}"
        ) from error


def check_path(folder: Path) -> None:
    """Raise UserError if the path has bytes that are not UTF-8: TensorBoard cannot write to such a path."""
    path = str(folder.absolute())
    if any(0xD800 <= ord(letter) < 0xE000 for letter in path):  # surrogates stand for such bytes
        raise UserError(
            "the path has bytes that are not UTF-8, and TensorBoard cannot write there",
            setting="hydra.run.dir",
            value=escape_unprintable(path),
            cure="Choose another folder by hydra.run.dir=",
        )


@contextmanager
def exclusive_run_dir(folder: Path, hold: bool = True) -> Iterator[None]:
    """Create the folder of a run and hold its lock in this context.

    hold: False in all processes of a run except the first: the context then does nothing.

    Raises UserError if another run holds the lock, and if the folder cannot be written.
    """

    def reject() -> None:
        raise UserError(
            f"another run is writing to {folder}", cure="Wait for it, or choose another folder by hydra.run.dir="
        )

    if not hold:
        yield
        return
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / ".lock", reject))
        except OSError as error:
            raise UserError(
                f"{folder} cannot be written: {error.strerror}", cure="Choose a writable folder by hydra.run.dir="
            ) from error
        yield


def reject_overwrite(folder: Path) -> None:
    """Raise UserError if a new run would overwrite the checkpoints of an earlier one."""
    last = folder / "checkpoints" / LAST
    if last.is_file():
        raise UserError(
            f"{folder} holds the checkpoints of another run",
            cure=f"Continue it by {format_override('ckpt', last)}, or choose another folder by hydra.run.dir=",
        )


def remove_events(logger: TensorBoardLogger) -> None:
    """Remove the event files of an earlier start of the run, which was killed before its first checkpoint."""
    for path in Path(logger.log_dir).glob("events.out.tfevents.*"):
        path.unlink()
