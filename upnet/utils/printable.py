"""Names of files and folders as text that every file, figure and terminal can hold."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

_RAW_BYTE = range(0xDC80, 0xDD00)
"""What Python makes of a byte of a file's name that isn't UTF-8, see PEP 383: 0xDC00 + byte."""


def escape_unprintable(text: str) -> str:
    """Text with escapes, "caf\\xe9" and "a\\nb", for bytes that aren't UTF-8 and characters that can't be printed."""
    with suppress(UnicodeEncodeError):  # of a surrogate that stands for no byte, which JSON may hold
        # Under a locale that isn't UTF-8, a name that is UTF-8 arrives as single bytes.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def printable_name(name: str) -> str:
    """The name of a file or folder as readable text. No two names become one, since backslashes are doubled."""
    return escape_unprintable(name if os.sep == "\\" else name.replace("\\", "\\\\"))


def escape_unencodable_output() -> None:
    """Escape what the encoding of the terminal, or of the file behind it, can't hold, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _escaped(letter: str) -> str:
    if ord(letter) in _RAW_BYTE:
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
