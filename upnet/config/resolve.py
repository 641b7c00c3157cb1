"""A resolved copy of a config in dicts and lists, and a fault for every value that it has not."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue, OmegaConfBaseException

from upnet.config.errors import below

MISSING = object()
"""Stands where a value is missing or cannot be resolved: said once, and then left alone."""


def plain(node: Any, path: str, faults: list[str], around: tuple[Any, ...] = ()) -> Any:
    """The config below a path, resolved, with MISSING where there is no value and a fault for each.

    around: what the node lies in, to recognise one that an interpolation put inside itself.
    """
    if not isinstance(node, DictConfig | ListConfig):
        return node
    if any(node is outer for outer in around):
        faults.append(f"{path} is an interpolation that contains itself")
        return MISSING
    found = {}
    for key in range(len(node)) if isinstance(node, ListConfig) else node:
        here = below(path, key)
        found[key] = plain(_value(node, key, here, faults), here, faults, (*around, node))
    return list(found.values()) if isinstance(node, ListConfig) else found


def lacks(value: Any) -> bool:
    """Whether a value is missing, or something inside it is."""
    if isinstance(value, Mapping):
        return any(map(lacks, value.values()))
    return value is MISSING or (isinstance(value, list) and any(map(lacks, value)))


def echoes(config: DictConfig) -> dict[str, str]:
    """Path -> the path whose value stands there as well, by an interpolation and nothing else."""
    found = re.compile(r"\$\{([\w.]+)\}")
    texts = _texts(OmegaConf.to_container(config, resolve=False), "")
    return {path: match[1] for path, text in texts if (match := found.fullmatch(text))}


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a config, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _texts(item, below(path, key))


def _value(node: Any, key: Any, path: str, faults: list[str]) -> Any:
    try:
        return node[key]
    except MissingMandatoryValue:
        faults.append(f"{path} must be given: {path}=...")
    except InterpolationToMissingValueError:
        pass  # said where the value is missing
    except OmegaConfBaseException as error:
        faults.append(f"{path}: {str(error).splitlines()[0]}")
    return MISSING
