"""The check: every key and value of a config held against what takes it."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf

from upnet.config.errors import ConfigError, below, refuse, shown, unknown
from upnet.config.resolve import MISSING, echoes, lacks, plain
from upnet.config.signatures import Signature, locate, signature
from upnet.config.types import admits_none, value_faults

_USELESS = {
    "_args_": "give every argument by its name",
    "_recursive_": "the components inside a component are always built",
    "_convert_": "mappings and lists always arrive as plain dict and list",
}


@dataclasses.dataclass(frozen=True)
class _Node:
    """A component of the config. `takes` is None where the target is wrong, or Python cannot tell what it takes."""

    path: str
    settings: Mapping[str, Any]
    target: str
    takes: Signature | None


def check(config: DictConfig | Mapping[str, Any], root: type) -> None:
    """Hold a whole config against the signatures of its targets, and its root against a dataclass.

    Targets are imported, nothing is built. `root` is a dataclass whose annotations say what each root key may hold:
    plain types, Literal, Annotated with the limits of `annotated_types`, Component, or another dataclass for a group of
    settings that no class owns. A field without a default must be given.

    Raises ConfigError with one line for each fault: a setting that nothing takes, one that is missing or still `???`,
    a value of the wrong type or out of range, a `_target_` that leads nowhere, an interpolation that does too. What
    is wrong in one place and interpolated in others is told once.
    """
    assert dataclasses.is_dataclass(root), f"the root's settings are declared by a dataclass, not by {root}"
    faults: list[str] = []
    if not isinstance(config, DictConfig):
        config = OmegaConf.create(dict(config), flags={"allow_objects": True})
    settings = plain(config, "", faults)
    nodes = list(_nodes("", settings, faults))
    places = _places(nodes, root)
    faults += _section("", settings, root, places)
    for node in nodes:
        faults += _component(node, places)
    wrong = {fault.partition(": ")[0] for fault in faults}
    echoed = {path for path, source in echoes(config).items() if source in wrong}
    refuse(fault for fault in faults if fault.partition(": ")[0] not in echoed)


def _nodes(path: str, value: Any, faults: list[str]) -> Iterator[_Node]:
    """Every component of the config, outermost first."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield _located(path, value, faults)
        else:
            faults += [
                f"{below(path, key)} stands only beside _target_, which is missing here"
                for key in value
                if key == "_partial_" or key in _USELESS
            ]
        for key, item in value.items():
            yield from _nodes(below(path, key), item, faults)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(below(path, index), item, faults)


def _located(path: str, node: Mapping[str, Any], faults: list[str]) -> _Node:
    target, takes, here = node["_target_"], None, below(path, "_target_")
    if isinstance(target, str):
        try:
            takes = signature(locate(target, here))
        except ConfigError as error:
            faults.append(str(error))
    elif target is not MISSING:
        faults.append(f"{here}: {shown(target)} is not allowed: the dotted name of a class is expected")
    return _Node(path, node, str(target), takes)


def _component(node: _Node, places: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The faults of a component's own keys and plain values."""
    for key, advice in _USELESS.items():
        if key in node.settings:
            yield f"{below(node.path, key)} is of no use here: {advice}"
    partial = node.settings.get("_partial_", False)
    if not isinstance(partial, bool):
        yield f"{below(node.path, '_partial_')}: {shown(partial)} is not allowed: true or false is expected"
    if node.takes is None:
        return
    if not partial:
        for name in node.takes.required:
            if name not in node.settings:
                path = below(node.path, name)
                yield f"{path} must be given, since {node.target} needs it: {path}=..."
    for key, value in node.settings.items():
        if key in node.takes.names:
            yield from _argument(below(node.path, key), key, value, node.takes)
        elif key not in ("_target_", "_partial_", *_USELESS) and _refused(key, node.takes):
            yield unknown(node.path, key, node.target, node.takes.names, places)


def _refused(key: str, takes: Signature) -> bool:
    # Among further names, one that all but is an argument's is taken for a slip: TensorBoardLogger would find out late.
    return not takes.open or bool(get_close_matches(key, takes.names, n=1, cutoff=0.75))


def _argument(path: str, name: str, value: Any, takes: Signature) -> Iterator[str]:
    default = takes.defaults.get(name, MISSING)
    if type(value) is type(default) and value == default:
        return  # a default is allowed whatever its hint says: `size: int = None` is common
    if not _holds_component(value) and not lacks(value):
        yield from _unfit(path, value, takes.hints.get(name, Any))


def _unfit(path: str, value: Any, hint: Any) -> Iterator[str]:
    """The faults of a plain value. What is no number, or infinite, is nobody's setting, though it is a float."""
    infinite = list(_infinite(path, value))
    yield from infinite or value_faults(path, value, hint)


def _infinite(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: {shown(value)} is not allowed: a finite number is expected"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _infinite(below(path, index), item)


def _holds_component(value: Any) -> bool:
    """Whether a value is, or has inside, what is only known once it is built."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(_holds_component, value.values()))
    return isinstance(value, list) and any(map(_holds_component, value))


def _section(
    path: str, settings: Mapping[str, Any], schema: type, places: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The faults of settings that a dataclass declares."""
    hints = get_type_hints(schema, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(schema)}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in settings:
            yield f"{below(path, name)} must be given: {below(path, name)}=..."
    for key, value in settings.items():
        here = below(path, key)
        if key not in fields:
            yield unknown(path, key, "", tuple(fields), places)
        elif (group := _group(hints[key])) is None:
            if not lacks(value):
                yield from _unfit(here, value, hints[key])
        elif isinstance(value, Mapping):
            yield from _section(here, value, group, places)
        elif value is not MISSING and not (value is None and admits_none(hints[key])):
            yield f"{here}: {shown(value)} is not allowed: a mapping is expected"


def _group(hint: Any) -> type | None:
    """The dataclass that a hint is, or is beside null."""
    kinds = (kind for kind in (hint, *get_args(hint)) if isinstance(kind, type))
    return next((kind for kind in kinds if dataclasses.is_dataclass(kind)), None)


def _places(nodes: Sequence[_Node], root: type) -> dict[str, list[str]]:
    """Every setting's name -> the paths where the config may have it."""
    places: dict[str, list[str]] = {}
    _declared("", root, places)
    for node in nodes:
        for name in node.takes.names if node.takes else ():
            places.setdefault(name, []).append(below(node.path, name))
    return places


def _declared(path: str, schema: type, places: dict[str, list[str]]) -> None:
    for name, hint in get_type_hints(schema).items():
        places.setdefault(name, []).append(below(path, name))
        group = _group(hint)
        if group is not None:
            _declared(below(path, name), group, places)
