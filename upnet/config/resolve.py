"""Resolve the interpolations of a config to plain dicts and lists."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue, OmegaConfBaseException

from upnet.config.errors import join_path
from upnet.utils.errors import UserError

MISSING = object()
"""Replaces a value that is missing or cannot be resolved. The error is reported once, where the value is missing."""


def resolve(node: Any, path: str, errors: list[UserError], parents: tuple[Any, ...] = ()) -> Any:
    """The config below a path with its interpolations resolved.

    errors:  gets an error for each value that is missing; MISSING is in its place.
    parents: the nodes around this one, to detect an interpolation that contains itself.
    """
    if not isinstance(node, DictConfig | ListConfig):
        return node
    if any(node is parent for parent in parents):
        errors.append(UserError("the interpolation contains itself", setting=path))
        return MISSING
    values = {}
    for key in range(len(node)) if isinstance(node, ListConfig) else node:
        key_path = join_path(path, key)
        values[key] = resolve(_value(node, key, key_path, errors), key_path, errors, (*parents, node))
    return list(values.values()) if isinstance(node, ListConfig) else values


def _value(node: Any, key: Any, path: str, errors: list[UserError]) -> Any:
    try:
        return node[key]
    except MissingMandatoryValue:
        errors.append(UserError("required", setting=path, cure=f"Set {path}=…"))
    except InterpolationToMissingValueError:
        pass  # reported where the value is missing
    except OmegaConfBaseException as error:
        errors.append(UserError(str(error).splitlines()[0], setting=path))
    return MISSING


def has_missing(value: Any) -> bool:
    """Whether a resolved value is MISSING or contains a MISSING value."""
    if isinstance(value, Mapping):
        return any(map(has_missing, value.values()))
    return value is MISSING or (isinstance(value, list) and any(map(has_missing, value)))


def aliases(config: DictConfig) -> dict[str, str]:
    """Path of each value that is a single interpolation -> the path it refers to.

    >>> aliases(OmegaConf.create({"steps": 3, "trainer": {"max_steps": "${steps}"}}))
    {'trainer.max_steps': 'steps'}
    """
    reference = re.compile(r"\$\{([\w.]+)\}")
    strings = _strings(OmegaConf.to_container(config, resolve=False), "")
    return {path: match[1] for path, text in strings if (match := reference.fullmatch(text))}


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Path and text of every string in a config."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _strings(item, join_path(path, key))
