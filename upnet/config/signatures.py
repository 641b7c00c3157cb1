"""Import the target of a component and read which arguments it takes."""

import functools
import inspect
import pkgutil
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_type_hints

from upnet.config.errors import ConfigError, invalid
from upnet.utils.errors import did_you_mean

_MAX_NAMES = 20
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class Signature:
    """The arguments of a class or function.

    names:          every argument that can be given by name.
    required:       those without a default.
    hints:          name -> type hint, where there is one and it can be resolved.
    defaults:       name -> default, where there is one.
    accepts_kwargs: whether further names are accepted (`**kwargs`).
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    hints: dict[str, Any]
    defaults: dict[str, object]
    accepts_kwargs: bool


def locate(target: str, path: str) -> Callable[..., Any]:
    """Import the class or function of a dotted name.

    path: where the config names it.

    Raises ConfigError if the name does not exist, is not callable, or is an abstract class. Exceptions of the import
    itself pass, except for a missing module.

    >>> locate("upnet.upsample.Nearest", "model.upsampler._target_").__name__
    'Nearest'
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise invalid(
            "must be the dotted name of a class, such as upnet.upsample.Transposed", setting=path, value=target
        )
    owner, names = _module(target, path)
    owner_name = owner.__name__
    for name in names:
        try:
            owner = getattr(owner, name)
        except AttributeError as error:
            public = _public_names(owner)
            classes = [public_name for public_name in public if public_name[:1].isupper()]
            same_letters = [class_name for class_name in classes if class_name.lower() == name.lower()]
            suggestion = did_you_mean(name, public) if not same_letters else f"Did you mean {same_letters[0]}?"
            raise invalid(
                f"{owner_name} has no {name}",
                setting=path,
                value=target,
                allowed="" if suggestion else ", ".join(classes[:_MAX_NAMES]),
                cure=suggestion,
            ) from error
        owner_name = f"{owner_name}.{name}"
    if not callable(owner):
        problem = f"is a {type(owner).__name__}; a component is a class or a function"
        raise invalid(problem, setting=path, value=target)
    if inspect.isabstract(owner):
        raise invalid("is an abstract class", setting=path, value=target, cure="Choose one of its subclasses")
    return owner


@functools.cache
def signature(target: Callable[..., Any]) -> Signature | None:
    """The arguments of a target; None for classes written in C, whose arguments Python does not know.

    >>> from torch.optim import SGD
    >>> sgd = signature(SGD)
    >>> sgd.required, sgd.defaults["momentum"]
    (('params',), 0)
    """
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
        accepts_kwargs=any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
    )


def required_arguments(target: object) -> tuple[str, ...]:
    """The arguments without a default of a target, by its dotted name; none if it is invalid, which `check` reports."""
    try:
        target_signature = signature(locate(str(target), ""))
    except ConfigError:
        return ()
    return target_signature.required if target_signature is not None else ()


def _hints(target: Callable[..., Any], named: Sequence[inspect.Parameter]) -> Iterator[tuple[str, Any]]:
    """Each hint resolved by itself, so that one which only type checkers can resolve does not hide the others."""
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


def _module(target: str, path: str) -> tuple[Any, Sequence[str]]:
    """The module that the longest prefix of a dotted name names, and the remaining names, at least one."""
    parts = target.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            return import_module(name), parts[length:]
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                problem = f"{name} needs the module {error.name}, which is not installed"
                raise invalid(problem, setting=path, value=target) from error
    known = [name for name in sys.modules if not name.startswith("_") and "." not in name]
    cure = did_you_mean(parts[0], known) or "If the module is your own, add its folder to PYTHONPATH"
    raise invalid(f"there is no module {parts[0]}", setting=path, value=target, cure=cure)


def _public_names(owner: Any) -> list[str]:
    submodules = [module.name for module in pkgutil.iter_modules(getattr(owner, "__path__", None) or [])]
    return [name for name in dict.fromkeys([*dir(owner), *submodules]) if not name.startswith("_")]
