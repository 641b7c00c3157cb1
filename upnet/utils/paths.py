"""Paths that users give: expansion of `~`, and names that must stay inside a folder."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from upnet.utils.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"
"""The folder of the configs: in a wheel it is part of the package, in a checkout it is beside it."""


def expand_user(path: str | Path) -> Path:
    """Expand `~` and `~user` at the start of a path. Unlike `Path.expanduser`, keep an unknown `~name` as it is.

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
        raise UserError(f"{path} leads out of {folder}", cure="Remove that name or link")
    return path


def as_list(value: Any) -> list[str]:
    """A setting that is one name, a list of names or null, as a list; the check of the config rejects anything else.

    >>> as_list("a.ckpt"), as_list(["a.ckpt", "b.ckpt"]), as_list(None)
    (['a.ckpt'], ['a.ckpt', 'b.ckpt'], [])
    """
    if value is None or isinstance(value, Mapping):
        return []
    return [str(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else [str(value)]


def require_file(checkpoint: Path) -> None:
    """Raise UserError if there is no checkpoint at the path."""
    if not checkpoint.is_file():
        cure = "A run writes checkpoints/last.ckpt and checkpoints/best.ckpt"
        raise UserError(f"there is no checkpoint at {checkpoint}", cure=cure)


def display_path(path: Path) -> Path:
    """The path relative to the current folder where it is inside it, else the path itself."""
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
