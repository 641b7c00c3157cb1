"""Figures, images and tables illustrate numbers that are written already: when one fails, the numbers stay."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from upnet.utils.printable import escape_unprintable

log = logging.getLogger(__name__)


@dataclass
class OutputStatus:
    """How an illustration turned out: `failure` is the sentence that was logged where it failed, else None."""

    failure: str | None = None


@contextmanager
def optional_output(what: str) -> Iterator[OutputStatus]:
    """Log whatever fails inside as one line of warning, and go on after it; at level DEBUG, with its traceback.

    what: the illustration, as the subject of a sentence: "the comparison image".

    An illustration depends on fonts, names, libraries and memory that the numbers don't depend on. Interrupts pass.
    """
    outcome = OutputStatus()
    try:
        yield outcome
    except Exception as fault:
        reason = " ".join(str(fault).split()) or "no reason given"
        outcome.failure = escape_unprintable(
            f"{what} could not be made ({type(fault).__name__}: {reason}); no number is lost"
        )
        log.warning("%s", outcome.failure)
        log.debug("%s", what, exc_info=True)
