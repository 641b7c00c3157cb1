"""Escape names and messages so that files, figures and terminals of any encoding accept them."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

_ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""Surrogates by which Python represents bytes of a file name that are not UTF-8 (PEP 383): 0xDC00 + byte."""


def escape_unprintable(text: str) -> str:
    r"""Replace bytes that are not UTF-8, and characters that are not printable, by escapes.

    >>> print(escape_unprintable("caf\udce9 a\nb"))
    caf\xe9 a\nb
    """
    with suppress(UnicodeEncodeError):  # raised by surrogates that don't represent a byte, which JSON may contain
        # In a locale that is not UTF-8, Python decodes a UTF-8 name to surrogates.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def printable_name(name: str) -> str:
    """The name of a file or folder as printable text. Backslashes are doubled, so that different names stay different.

    >>> print(printable_name("new\\nline"))
    new\\nline
    """
    return escape_unprintable(name if os.sep == "\\" else name.replace("\\", "\\\\"))


def escape_unencodable_output() -> None:
    """Make stdout and stderr escape characters that their encoding lacks, instead of raising UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _escape(character: str) -> str:
    if ord(character) in _ESCAPED_BYTES:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
