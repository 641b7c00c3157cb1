"""What a `_target_` names, and which settings it takes."""

import functools
import inspect
import pkgutil
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_type_hints

from upnet.config.errors import ConfigError, did_you_mean

_MOST = 20
"""Names that are offered in a sentence."""
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Signature:
    """The settings that a class or function takes.

    names:    every argument that can be given by name.
    required: those without a default.
    hints:    the type of each argument that states one which can be resolved.
    defaults: the value of each argument that has one.
    open:     whether it takes further names (`**kwargs`).
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    hints: dict[str, Any]
    defaults: dict[str, object]
    open: bool


def locate(target: str, path: str) -> Callable[..., Any]:
    """The class or function of a dotted name, imported; `path` is where the config says it.

    Raises ConfigError for a name that leads nowhere, for what cannot be called, and for an abstract class. What an
    import itself raises is not touched, except that it lacks a module.
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{path}: {target!r} is not the dotted name of a class, such as upnet.upsample.Transposed")
    found, rest = _module(parts, path)
    place = found.__name__
    for name in rest:
        try:
            found = getattr(found, name)
        except AttributeError as error:
            names = _public(found)
            classes = [word for word in names if word[:1].isupper()]
            offer = did_you_mean(name, names) or (f"; it has {', '.join(classes[:_MOST])}" if classes else "")
            raise ConfigError(f"{path}: {place} has no {name}{offer}") from error
        place = f"{place}.{name}"
    if not callable(found):
        raise ConfigError(f"{path}: {target} is a {type(found).__name__}; a component is a class or a function")
    if inspect.isabstract(found):
        raise ConfigError(f"{path}: {target} is abstract: choose one of the classes made from it")
    return found


@functools.cache
def signature(target: Callable[..., Any]) -> Signature | None:
    """What a target takes, or None where Python cannot tell (classes written in C)."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:
        return None
    named = [parameter for parameter in parameters if parameter.kind in _NAMED]
    return Signature(
        names=tuple(parameter.name for parameter in named),
        required=tuple(parameter.name for parameter in named if parameter.default is parameter.empty),
        hints=dict(_hints(target, named)),
        defaults={parameter.name: parameter.default for parameter in named if parameter.default is not parameter.empty},
        open=any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
    )


def required(target: object) -> tuple[str, ...]:
    """The settings that a target can't do without; none where it leads nowhere, which the check says."""
    try:
        takes = signature(locate(str(target), ""))
    except ConfigError:
        return ()
    return takes.required if takes is not None else ()


def _hints(target: Callable[..., Any], named: Sequence[inspect.Parameter]) -> Iterator[tuple[str, Any]]:
    """Each annotation resolved on its own, so that one which exists for type checkers only takes no other with it."""
    function = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    scope = getattr(function, "__globals__", {})
    for parameter in named:
        if parameter.annotation is parameter.empty:
            continue
        holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        try:
            yield from get_type_hints(holder, scope, include_extras=True).items()
        except (NameError, AttributeError, TypeError):
            continue


def _module(parts: Sequence[str], path: str) -> tuple[Any, Sequence[str]]:
    """The module that the longest part of a dotted name names, and the rest of the name: at least its last part."""
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            return import_module(name), parts[length:]
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise ConfigError(f"{path}: {name} needs the module {error.name}, which is missing") from error
    known = [name for name in sys.modules if not name.startswith("_") and "." not in name]
    raise ConfigError(f"{path}: there is no module {parts[0]}{did_you_mean(parts[0], known)}")


def _public(owner: Any) -> list[str]:
    inside = [module.name for module in pkgutil.iter_modules(getattr(owner, "__path__", None) or [])]
    return [name for name in dict.fromkeys([*dir(owner), *inside]) if not name.startswith("_")]
