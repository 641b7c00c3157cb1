"""Paths that users name: expansion of `~`, and names that must stay inside a folder."""

import os
from pathlib import Path

from upnet.utils.errors import UserError


def expand_user(path: str | Path) -> Path:
    """Expand `~` and `~user` at the start of a path; unlike `Path.expanduser`, leave an unknown `~name` as it is.

    >>> expand_user("~no-such-user/image.png").parts
    ('~no-such-user', 'image.png')
    """
    return Path(os.path.expanduser(path))


def resolve_inside(folder: Path, name: str) -> Path:
    """Return `folder / name`. Raises UserError if the name, or a link on the way, leads out of the folder.

    >>> resolve_inside(Path("runs"), "a/results.json").as_posix()
    'runs/a/results.json'
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"{path} leads out of {folder}", cure="Remove that name or link: files must be inside the folder"
        )
    return path
