"""Check that the config in a checkpoint builds only upnet's own components.

A `_target_` names code to run, and a checkpoint may come from an untrusted source.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from upnet.config.errors import invalid, join_path, raise_errors
from upnet.utils.errors import UserError, format_value

_COMPONENT_PACKAGES = ("upnet.upsample", "upnet.encoders", "upnet.blocks", "upnet.models")
_DOTTED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_PLAIN_TYPES = (str, int, float, bool, type(None))

# Well above what a real network needs, and well below what would exhaust the memory of the machine that reads it.
_MAX_NUMBER = 1_000_000
_MAX_TEXT = 1_000
_MAX_NAME = 100
_MAX_DEPTH = 20
_MAX_VALUES = 10_000


def check_targets(config: dict[str, Any], trust: Sequence[str] = ()) -> None:
    """Raise ConfigError unless a config from a checkpoint is plain data that builds only allowed components.

    trust: modules whose classes and functions are allowed too, submodules included.

    Every `_target_` must be a public subclass of `nn.Module` that is defined in upnet.upsample, upnet.encoders,
    upnet.blocks or upnet.models; or a class or function that is defined in a trusted module. All other values must be
    dicts, lists, strings without interpolations, true, false, null, or finite numbers up to a million. The full config
    is examined before the first import, and modules that are not allowed are never imported.

    A config that is too deep or too large raises at once; otherwise there is an error for each invalid value.

    >>> check_targets({"model": {"_target_": "upnet.upsample.Nearest"}})
    >>> check_targets({"model": {"_target_": "os.system"}})
    Traceback (most recent call last):
    ...
    upnet.config.errors.ConfigError: model._target_=os.system: not part of upnet; a checkpoint may only build upnet's \
own components. If you trust that code, add trust=os
    """
    trusted = (trust,) if isinstance(trust, str) else tuple(trust)
    if not isinstance(config, dict):
        raise invalid("the config in a checkpoint must be a mapping")
    errors: list[UserError] = []
    targets = list(_targets("", config, 0, iter(range(_MAX_VALUES)), errors))
    errors += [_not_allowed(path, name) for path, name in targets if not _is_allowed(name, trusted)]
    raise_errors(errors)
    raise_errors([error for path, name in targets for error in _check_resolved(path, name, trusted)])


def _targets(
    path: str, value: object, depth: int, budget: Iterator[int], errors: list[UserError]
) -> Iterator[tuple[str, str]]:
    """The path and name of every well-formed target. Types must be exact: a subclass could override methods."""
    if depth > _MAX_DEPTH:
        raise invalid(f"the config has more than {_MAX_DEPTH} levels, more than any network of upnet")
    if next(budget, None) is None:
        raise invalid(f"the config has more than {_MAX_VALUES} values, more than any network of upnet")
    if type(value) is dict:
        yield from _mapping_targets(path, value, depth, budget, errors)
    elif type(value) is list:
        for index, item in enumerate(value):
            yield from _targets(join_path(path, index), item, depth + 1, budget, errors)
    else:
        errors += _scalar_errors(path, value)


def _mapping_targets(
    path: str, node: dict[Any, Any], depth: int, budget: Iterator[int], errors: list[UserError]
) -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if type(key) is not str or not key.isascii() or not key.isidentifier() or len(key) > _MAX_NAME:
            errors.append(UserError(f"the key {_summary(key)} is not the name of a setting", setting=_name(path)))
        elif key == "_target_":
            if type(value) is str and _DOTTED_NAME.fullmatch(value) and len(value) <= _MAX_TEXT:
                yield path, value
            else:
                problem = f"must be the dotted name of a class, not {_summary(value)}"
                errors.append(UserError(problem, setting=join_path(path, key)))
        elif key == "_partial_":
            if type(value) is not bool or "_target_" not in node:
                problem = "must be true or false, in a mapping with _target_"
                errors.append(UserError(problem, setting=join_path(path, key)))
        elif key.startswith("_"):
            errors.append(UserError("not allowed in a checkpoint", setting=join_path(path, key)))
        else:
            yield from _targets(join_path(path, key), value, depth + 1, budget, errors)


def _scalar_errors(path: str, value: object) -> Iterator[UserError]:
    setting = _name(path)
    if type(value) not in _PLAIN_TYPES:
        yield UserError(
            f"only plain values are allowed in a checkpoint's config, not {_summary(value)}", setting=setting
        )
    elif isinstance(value, str):
        if "${" in value:
            yield UserError("interpolations are not allowed in a checkpoint's config", setting=setting, value=value)
        elif len(value) > _MAX_TEXT:
            yield UserError(f"must have at most {_MAX_TEXT} characters, not {len(value)}", setting=setting)
    elif isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:  # also true for NaN
        yield UserError(f"must be a number between -{_MAX_NUMBER} and {_MAX_NUMBER}", setting=setting)


def _is_allowed(name: str, trusted: Sequence[str]) -> bool:
    """Whether the module of a dotted name is allowed; of upnet's packages, only public names are."""
    module = name.rpartition(".")[0]
    component = _is_inside(module, _COMPONENT_PACKAGES) and not any(part.startswith("_") for part in name.split("."))
    return component or _is_inside(module, trusted)


def _check_resolved(path: str, name: str, trusted: Sequence[str]) -> Iterator[UserError]:
    """Import an allowed target and check that the object is defined in an allowed module.

    The name must be a module and one name in it: `upnet.models.os.system` would import a module upnet.models.os. And
    `upnet.models.nn.Linear` names a class that upnet imports but does not define.
    """
    from torch import nn

    setting = join_path(path, "_target_")
    module, _, last = name.rpartition(".")
    try:
        target = getattr(import_module(module), last, None)
    except ModuleNotFoundError as error:
        yield UserError(f"there is no module {error.name}", setting=setting, value=name)
        return
    defined_in = getattr(target, "__module__", None)
    if not isinstance(defined_in, str):
        defined_in = ""
    if _is_inside(defined_in, _COMPONENT_PACKAGES):
        if not (inspect.isclass(target) and issubclass(target, nn.Module)) or inspect.isabstract(target):
            yield UserError("must be a subclass of nn.Module that is not abstract", setting=setting, value=name)
    elif not (_is_inside(defined_in, trusted) and (inspect.isclass(target) or inspect.isfunction(target))):
        problem = f"{module} has no {last}" if target is None else f"not defined in {module}"
        yield UserError(problem, setting=setting, value=name)


def _not_allowed(path: str, name: str) -> UserError:
    setting = join_path(path, "_target_")
    if _is_inside(name, _COMPONENT_PACKAGES):
        return UserError("not a public class of upnet", setting=setting, value=name)
    return UserError(
        "not part of upnet; a checkpoint may only build upnet's own components",
        setting=setting,
        value=name,
        cure=f"If you trust that code, add trust={name.rpartition('.')[0]}",
    )


def _is_inside(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _summary(value: object) -> str:
    """A string on one line; of other values only the type, since their repr may be endless."""
    return format_value(value) if type(value) is str else f"a {type(value).__name__}"


def _name(path: str) -> str:
    return path or "config"
