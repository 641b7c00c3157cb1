"""The published sets by name: the folder is the registry."""

import pkgutil
from functools import cache
from importlib import import_module

from upnet.data import sets
from upnet.data.sets.base import Published


@cache
def published() -> dict[str, type[Published]]:
    """Every set by what commands call it: the benchmarks first, then the training sets, each from small to large."""
    for module in pkgutil.iter_modules(sets.__path__):
        import_module(f"{sets.__name__}.{module.name}")
    classes = sorted(Published.__subclasses__(), key=lambda one: (one.training, one.count, one.key()))
    return {one.key(): one for one in classes if one.__module__.startswith(f"{sets.__name__}.")}
