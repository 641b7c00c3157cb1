"""Paths: the folder of the configs, expansion of `~`, names that must stay inside a folder, and settings with paths."""

import os
from collections.abc import Sequence
from pathlib import Path

from upnet.utils.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"
"""The folder of the configs: inside the package in a wheel, next to the package in a checkout."""


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


def as_list(value: str | Sequence[str] | None) -> list[str]:
    """A setting that is a name, a list of names or null, as a list of names.

    >>> as_list("a.ckpt"), as_list(["a.ckpt", "b.ckpt"]), as_list(None)
    (['a.ckpt'], ['a.ckpt', 'b.ckpt'], [])
    """
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


def require_checkpoint(path: Path) -> None:
    """Raise UserError if there is no checkpoint at the path.

    >>> require_checkpoint(Path(__file__))
    """
    if not path.is_file():
        cure = "A run writes checkpoints/last.ckpt and checkpoints/best.ckpt"
        raise UserError(f"there is no checkpoint at {path}", cure=cure)


def display_path(path: Path) -> Path:
    """The path relative to the current folder if it is inside it, else the path itself.

    >>> display_path(Path.cwd() / "runs/a").as_posix()
    'runs/a'
    """
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
