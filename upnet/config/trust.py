"""What the config inside a checkpoint may build: a `_target_` is code, and checkpoints come from strangers."""

import inspect
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from upnet.config.errors import ConfigError, below, refuse, shown

_OURS = ("upnet.upsample", "upnet.encoders", "upnet.blocks", "upnet.models")
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_PLAIN = (str, int, float, bool, type(None))

# Far above anything that a real network says, and far below what would exhaust a machine while its config is read.
_LARGEST_NUMBER = 1_000_000
_LONGEST_TEXT = 1_000
_LONGEST_NAME = 100
_DEEPEST = 20
_MOST_VALUES = 10_000


def check_targets(config: dict[str, Any], trust: Sequence[str] = ()) -> None:
    """Let a config from a checkpoint pass only where all it can build is upnet's own components.

    Every `_target_`, at every depth, must be a public class that is made from `nn.Module` and defined in
    upnet.upsample, upnet.encoders, upnet.blocks or upnet.models; or a class or function that is defined in a module
    named in `trust`, or in a submodule of one. All else must be plain values: dicts, lists, texts without
    interpolations, true, false, null, and finite numbers of at most a million. The whole tree is examined before the
    first import, and nothing outside the allowed modules is ever imported.

    Raises ConfigError: at once where the config is too deep or too large to be read on, else with a line for each.
    """
    trusted = (trust,) if isinstance(trust, str) else tuple(trust)
    budget = iter(range(_MOST_VALUES))
    faults: list[str] = []
    targets = list(_targets("", config, 0, budget, faults))
    if not isinstance(config, dict):
        faults.append("the config in a checkpoint must be a mapping")
    faults += [_foreign(path, name) for path, name in targets if not _allowed(name, trusted)]
    refuse(faults)
    refuse(fault for path, name in targets for fault in _impostor(path, name, trusted))


def _targets(
    path: str, value: object, depth: int, budget: Iterator[int], faults: list[str]
) -> Iterator[tuple[str, str]]:
    """The path and name of every well-formed target. Exact types only: a subclass could bring methods of its own."""
    if depth > _DEEPEST:
        raise ConfigError(f"the config is nested more than {_DEEPEST} levels deep, which no network of upnet is")
    if next(budget, None) is None:
        raise ConfigError(f"the config has more than {_MOST_VALUES} values, which no network of upnet has")
    if type(value) is dict:
        yield from _mapping(path, value, depth, budget, faults)
    elif type(value) is list:
        for index, item in enumerate(value):
            yield from _targets(below(path, index), item, depth + 1, budget, faults)
    else:
        faults += _scalar(path, value)


def _mapping(
    path: str, node: dict[Any, Any], depth: int, budget: Iterator[int], faults: list[str]
) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if type(key) is not str or not key.isascii() or not key.isidentifier() or len(key) > _LONGEST_NAME:
            faults.append(f"{_named(path)} has the key {_quoted(key)}, which is not the name of a setting")
        elif key == "_target_":
            if type(value) is str and _DOTTED.fullmatch(value) and len(value) <= _LONGEST_TEXT:
                yield path, value
            else:
                faults.append(f"{below(path, key)}: {_quoted(value)} is not the dotted name of a class")
        elif key == "_partial_":
            if type(value) is not bool or "_target_" not in node:
                faults.append(f"{below(path, key)}: only true or false is allowed, and only beside _target_")
        elif key.startswith("_"):
            faults.append(f"{below(path, key)} is not allowed: a checkpoint may say only _target_ and _partial_")
        else:
            yield from _targets(below(path, key), value, depth + 1, budget, faults)


def _scalar(path: str, value: object) -> Iterator[str]:
    if type(value) not in _PLAIN:
        yield f"{_named(path)} is {_quoted(value)}: only plain values are allowed in a checkpoint's config"
    elif isinstance(value, str):
        if "${" in value:
            yield f"{_named(path)}: {shown(value)} is an interpolation: a checkpoint's config may only hold values"
        elif len(value) > _LONGEST_TEXT:
            yield f"{_named(path)}: a text of {len(value)} characters is not allowed: {_LONGEST_TEXT} at most"
    elif isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:  # nan is not, either
        yield f"{_named(path)} is larger than {_LARGEST_NUMBER} or no number at all, which no network of upnet asks for"


def _allowed(name: str, trusted: Sequence[str]) -> bool:
    """Whether the module part of a dotted name lies in an allowed place; of ours, only public names."""
    module = name.rpartition(".")[0]
    ours = _inside(module, _OURS) and not any(part.startswith("_") for part in name.split("."))
    return ours or _inside(module, trusted)


def _impostor(path: str, name: str, trusted: Sequence[str]) -> Iterator[str]:
    """Import an allowed target, and find out whether the name leads to something that is defined in an allowed place.

    The name is one module and one name in it: `upnet.models.os.system` asks for a module upnet.models.os, and
    `upnet.models.nn.Linear` would be one that upnet imported and didn't make.
    """
    from torch import nn

    module, _, last = name.rpartition(".")
    try:
        found = getattr(import_module(module), last, None)
    except ModuleNotFoundError as error:
        yield f"{_named(path)} is {name}, and the module {error.name} doesn't exist here"
        return
    home = getattr(found, "__module__", None)
    if not isinstance(home, str):
        home = ""
    if _inside(home, _OURS):
        if not (inspect.isclass(found) and issubclass(found, nn.Module)) or inspect.isabstract(found):
            yield f"{_named(path)} is {name}, which is no component: a complete class made from nn.Module is expected"
    elif not (_inside(home, trusted) and (inspect.isclass(found) or inspect.isfunction(found))):
        if found is None:
            yield f"{_named(path)} is {name}, and {module} has no {last}"
        else:
            yield f"{_named(path)} is {name}, which is not defined in {module}: a checkpoint may not reach through it"


def _foreign(path: str, name: str) -> str:
    if _inside(name, _OURS):
        return f"{_named(path)} is {name}, which is not a public class of upnet"
    return (
        f"{_named(path)} is {name}, which is not part of upnet; a checkpoint may only build upnet's own components. "
        f"If you trust that code, add trust={name.rpartition('.')[0]}"
    )


def _inside(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _quoted(value: object) -> str:
    """A value on one line; of anything but text only the type, since its repr may be endless."""
    return shown(value) if type(value) is str else f"a {type(value).__name__}"


def _named(path: str) -> str:
    return path or "the config itself"
