"""Files that are whole or not there, and that stay in their folder."""

import os
from pathlib import Path


def write_whole(content: str | bytes, path: Path) -> None:
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


def inside(folder: Path, name: str) -> Path:
    """What lies under a name in a folder. Raises ValueError where the name, or a link on the way, leads out of it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{path} leads out of {folder}; what belongs to it lies inside, so take that name or link away"
        )
    return path
