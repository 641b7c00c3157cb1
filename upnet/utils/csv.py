"""CSV files that spreadsheets open without running formulas."""

import csv
import io
from collections.abc import Iterable

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def format_csv(rows: Iterable[Iterable[object]]) -> str:
    r"""Format a table as CSV, one line per row.

    Text that a spreadsheet would run as a formula gets an apostrophe in front; numbers do not. Names of images, arms
    and checkpoints may come from an untrusted source. Lines end with CR LF, because Python quotes
    a line feed inside a cell only if it is part of the line ending.

    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection

    >>> format_csv([["name", "PSNR"], ["=1+1", -0.5]])
    "name,PSNR\r\n'=1+1,-0.5\r\n"
    """
    file = io.StringIO(newline="")
    csv.writer(file).writerows([_escape_formula(cell) for cell in row] for row in rows)
    return file.getvalue()


def _escape_formula(cell: object) -> object:
    # A single sign is a placeholder for a missing value.
    is_formula = isinstance(cell, str) and len(cell) > 1 and cell.startswith(_FORMULA_PREFIXES) and not _is_number(cell)
    return f"'{cell}" if is_formula else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
