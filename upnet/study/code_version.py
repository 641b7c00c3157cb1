"""The version of the code that trains a cell, so that a study reports where cells have different versions."""

import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from upnet.utils.provenance import VERSION

PACKAGE = Path(__file__).resolve().parent.parent


def code_version(targets: Iterable[str] = ()) -> dict[str, str]:
    """The versions of upnet and torch, and hashes of the source of upnet and of the user's modules.

    targets: the dotted names that the config instantiates. A user's module is one that belongs neither to upnet nor to
             an installed package.

    The source is identified by a hash of its files and not by a commit: a commit that changes other files keeps the
    hash, and an edit without a commit changes it.

    >>> list(code_version(["torch.optim.AdamW"]))
    ['upnet', 'source', 'torch']
    """
    versions = {"upnet": VERSION, "source": _upnet_source(), "torch": str(torch.__version__)}
    modules = (_user_module(target.rpartition(".")[0]) for target in sorted(set(targets)))
    return versions | {name: _hash_files([path]) for name, path in filter(None, modules)}


def describe_differences(recorded: Mapping[str, str], current: Mapping[str, str]) -> list[str]:
    """The entries in which two code versions differ.

    >>> describe_differences({"source": "3fa9c2", "torch": "2.9"}, {"source": "91b0d4", "torch": "2.9"})
    ['source 3fa9c2 and 91b0d4']
    """
    return [
        f"{name} {recorded.get(name, 'unknown')} and {current.get(name, 'unknown')}"
        for name in sorted({*recorded, *current})
        if recorded.get(name) != current.get(name)
    ]


def config_targets(node: Any) -> Iterable[str]:
    """Every `_target_` in a config of plain data.

    >>> list(config_targets({"loss": {"_target_": "torch.nn.L1Loss"}, "steps": 4}))
    ['torch.nn.L1Loss']
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from config_targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from config_targets(value)


@functools.cache
def _upnet_source() -> str:
    """The hash of upnet's source, computed once, because later edits don't change the code that this process runs."""
    return _hash_files(PACKAGE.rglob("*.py"))


def _user_module(module: str) -> tuple[str, Path] | None:
    """The name and the file of a user's module; None for modules of upnet and of installed packages."""
    if module.partition(".")[0] in ("", "upnet"):
        return None
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # the target is a method, and `module` the class
        return _user_module(module.rpartition(".")[0])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    return None if {"site-packages", "dist-packages"} & set(path.parts) else (module, path)


def _hash_files(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.parent.name}/{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
