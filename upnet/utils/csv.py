"""Comma-separated values that pandas reads and no spreadsheet runs."""

import csv
import io
from collections.abc import Iterable

_COMMANDS = ("=", "+", "-", "@", "\t", "\r")


def format_csv(rows: Iterable[Iterable[object]]) -> str:
    """A line per row. Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers don't.

    Pictures, arms and checkpoints are named by whoever made them, and a table of them is opened by somebody else. Lines
    end with both of the characters that end lines: Python quotes only those in what lies between.

    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection
    """
    file = io.StringIO(newline="")
    csv.writer(file).writerows([_plain(cell) for cell in row] for row in rows)
    return file.getvalue()


def _plain(cell: object) -> object:
    """A sign that stands alone is a gap in a table."""
    formula = isinstance(cell, str) and len(cell) > 1 and cell.startswith(_COMMANDS) and not _is_number(cell)
    return f"'{cell}" if formula else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
