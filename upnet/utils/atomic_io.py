"""Files that are whole or not there, and that stay in their folder."""

import os
from pathlib import Path


def atomic_write(content: str | bytes, path: Path) -> None:
    """Write a file aside, sync it and rename it; text as UTF-8, with surrogates escaped, as JSON escapes them too.

    A link under its name is replaced, and none is followed: a folder may come from a stranger, whose links lead to
    files that aren't to be written over. Raises OSError where it can't be written; then it is as it was.
    """
    aside = path.with_name(path.name + ".part")
    aside.unlink(missing_ok=True)
    try:
        with aside.open("xb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
