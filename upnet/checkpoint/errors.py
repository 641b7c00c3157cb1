"""What is wrong with a file, on one line."""

_LONGEST = 200


class DamagedCheckpointError(ValueError):
    """A checkpoint file that is cut short or altered; the message names it."""


def reason(fault: BaseException | str) -> str:
    """What an error says, on one line and cut; its kind, where it says nothing."""
    told = " ".join(str(fault).split()) or type(fault).__name__
    # It may quote a name out of the file, and a name may hold what moves a terminal's cursor.
    printable = "".join(letter if letter.isprintable() else "?" for letter in told)
    return printable if len(printable) <= _LONGEST else f"{printable[: _LONGEST - 1]}…"
