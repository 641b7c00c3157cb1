"""Optional outputs: figures, printed tables and logs, whose failure must not lose the numbers they show."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from upnet.utils.printable import escape_unprintable

log = logging.getLogger(__name__)


@dataclass
class OutputStatus:
    """The outcome of an optional output. failure: the logged message if it failed, else None."""

    failure: str | None = None


@contextmanager
def optional_output(name: str) -> Iterator[OutputStatus]:
    """Log any Exception raised in the block as a warning of one line, and continue after the block.

    name: the output, as the subject of the message: "the comparison image".

    Figures and tables depend on fonts, file names, libraries and memory that the numbers do not depend on. The
    traceback is logged at level DEBUG.

    >>> with optional_output("the comparison image") as status:
    ...     raise RuntimeError("no font")
    >>> status.failure
    'the comparison image could not be made (RuntimeError: no font); all numbers are saved'
    """
    status = OutputStatus()
    try:
        yield status
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        message = f"{name} could not be made ({type(error).__name__}: {reason}); all numbers are saved"
        status.failure = escape_unprintable(message)
        log.warning("%s", status.failure)
        log.debug("%s", name, exc_info=True)
