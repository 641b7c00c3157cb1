"""The folder is the list: every diagnostic of every module in it."""

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeGuard

from upnet.study.diagnostics.base import Diagnostic


def diagnostics() -> dict[str, Diagnostic]:
    """All diagnostics by name, in the order of their modules, and within a module as they are written there."""
    return dict(_found())


@cache
def _found() -> dict[str, Diagnostic]:
    package = __name__.rpartition(".")[0]
    found: dict[str, Diagnostic] = {}
    for entry in pkgutil.iter_modules([str(Path(__file__).parent)], f"{package}."):
        for value in vars(import_module(entry.name)).values():
            if _is_diagnostic(value) and value.__module__ == entry.name:
                assert value.name not in found, f"two diagnostics are called {value.name}"
                found[value.name] = value()
    return found


def _is_diagnostic(found: object) -> TypeGuard[type[Diagnostic]]:
    return inspect.isclass(found) and issubclass(found, Diagnostic) and not inspect.isabstract(found)
