"""A run that can't be written any more: told with what it has kept, and how to go on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upnet.command_line import setting
from upnet.folders import LAST

REASONS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


class UnwritableRunError(Exception):
    """A run's folder takes no more: the disk is full, say. The message tells what is saved, and how to go on."""


@contextmanager
def told_where_unwritable(folder: Path) -> Iterator[None]:
    """Raise UnwritableRunError for an OSError of writing; everything saved before is whole."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in REASONS:
            raise
        last = folder / "checkpoints" / LAST
        saved = f"What was saved is whole: {last}" if last.is_file() else "Nothing was saved yet"
        again = f"{setting('ckpt', last)} {setting('hydra.run.dir', folder)}"
        again = f"with {again if last.is_file() else setting('hydra.run.dir', folder)}"
        place = fault.filename or folder
        raise UnwritableRunError(
            f"{place} can't be written: {fault.strerror}. {saved}. Make room, or make it writable, and go on by the "
            f"same command {again}"
        ) from fault
