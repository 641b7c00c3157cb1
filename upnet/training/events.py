"""TensorBoard's event files, cut back to the step that training goes on from."""

import os
from pathlib import Path


def forget_after(folder: Path, step: int) -> None:
    """Drop from the event files of a folder what was logged after a step, since it is going to be logged again.

    A run that was killed has often logged more than it saved; its last record may be torn, and goes as well. So do the
    final metrics of a run that had ended and is now prolonged.
    """
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.summary.writer.record_writer import RecordWriter

    for path in sorted(folder.glob("events.out.tfevents.*")):
        aside = path.with_name(f".{path.name}.part")
        with aside.open("wb") as file:
            writer = RecordWriter(file)
            for record in RawEventFileLoader(str(path)).Load():
                event = Event.FromString(record)
                if event.step <= step and not any(_final(value.tag) for value in event.summary.value):
                    writer.write(record)
        os.replace(aside, path)


def _final(tag: str) -> bool:
    return tag.startswith(("final/", "_hparams_/"))
