"""Errors about checkpoint files, and text from such files made safe to print."""

from upnet.utils.errors import UserError

_MAX_LENGTH = 200


class CheckpointError(UserError):
    """A file that is not a valid checkpoint. The message starts with the path."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint file that is incomplete or altered."""


def reason(error: BaseException | str) -> str:
    """The message of an error on one line of at most 200 characters; its class name if it has no message.

    >>> reason("two\\nlines")
    'two lines'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    # It may contain a name from the file, and a name may contain control characters of terminals.
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable if len(printable) <= _MAX_LENGTH else f"{printable[: _MAX_LENGTH - 1]}…"
