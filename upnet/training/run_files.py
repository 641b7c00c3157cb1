"""TensorBoard's event files, cut back to the step that training goes on from."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from upnet.utils.overrides import format_override
from upnet.utils.run_dirs import LAST

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
        again = f"{format_override('ckpt', last)} {format_override('hydra.run.dir', folder)}"
        again = f"with {again if last.is_file() else format_override('hydra.run.dir', folder)}"
        place = fault.filename or folder
        raise UnwritableRunError(
            f"{place} can't be written: {fault.strerror}. {saved}. Make room, or make it writable, and go on by the "
            f"same command {again}"
        ) from fault


def forget_after(folder: Path, step: int | None) -> None:
    """Drop from the event files of a folder what was logged after a step, since it is going to be logged again.

    A run that was killed has often logged more than it saved; its last record may be torn, and goes as well. So do the
    final metrics of a run that had ended and is now prolonged, and the config, which every start tells anew. Before the
    first step, None, nothing stays.
    """
    for left in folder.glob(f"{ASIDE}*"):  # of a process that was killed amid this
        left.unlink()
    for path in sorted(folder.glob("events.out.tfevents.*")):
        if step is None:
            path.unlink()
        else:
            _cut(path, step)


ASIDE = ".part-"
"""What the name of a file begins with as long as it isn't whole; TensorBoard reads any that has tfevents in it."""


def _cut(path: Path, step: int) -> None:
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.summary.writer.record_writer import RecordWriter

    aside = path.with_name(ASIDE + path.name.removeprefix("events.out.tfevents."))
    with aside.open("wb") as file:
        writer = RecordWriter(file)
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            if event.step <= step and not any(_told_anew(value.tag) for value in event.summary.value):
                writer.write(record)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _told_anew(tag: str) -> bool:
    return tag.startswith(("final/", "_hparams_/", "config/"))
