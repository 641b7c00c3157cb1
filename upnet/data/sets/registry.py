"""The published sets by name: the folder is the registry."""

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from upnet.data.sets.base import Published

HERE = __name__.rpartition(".")[0]


@cache
def published() -> dict[str, type[Published]]:
    """Every set by what commands call it: the benchmarks first, then the training sets, each from small to large."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{HERE}.{module.name}")
    classes = sorted(Published.__subclasses__(), key=lambda one: (one.training, one.count, one.key()))
    return {one.key(): one for one in classes if one.__module__.startswith(f"{HERE}.")}
