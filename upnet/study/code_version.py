"""Which code a cell was made by, so that a study doesn't mix two of them unseen."""

import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from upnet.utils.provenance import VERSION

PACKAGE = Path(__file__).resolve().parent.parent


def code(targets: Iterable[str] = ()) -> dict[str, str]:
    """What a result depends on beside its config: upnet, its source, torch, and the source of the user's own modules.

    targets: the dotted names that the config builds; those outside of installed packages are the user's own.

    The source is told by a hash of the files themselves, so that a commit of something else changes nothing, and an
    edit without a commit does.
    """
    told = {"upnet": VERSION, "source": _source(), "torch": str(torch.__version__)}
    own = (_own(target.rpartition(".")[0]) for target in sorted(set(targets)))
    return told | {name: _digest([path]) for name, path in filter(None, own)}


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """What differs between two codes, in words: `source 3fa9c2 and 91b0d4`."""
    return [
        f"{name} {one.get(name, 'unknown')} and {other.get(name, 'unknown')}"
        for name in sorted({*one, *other})
        if one.get(name) != other.get(name)
    ]


def targets(node: Any) -> Iterable[str]:
    """Every `_target_` in a config of plain data."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


@functools.cache
def _source() -> str:
    """As it was when it was first asked for, since that is the code this process runs."""
    return _digest(PACKAGE.rglob("*.py"))


def _own(module: str) -> tuple[str, Path] | None:
    """The module of a name, where it is neither upnet's nor installed, and its file."""
    if module.partition(".")[0] in ("", "upnet"):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a class in a module, whose method is the target
        return _own(module.rpartition(".")[0])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    return None if {"site-packages", "dist-packages"} & set(path.parts) else (module, path)


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
