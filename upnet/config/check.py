"""Check every key and value of a config against the signatures and type hints of its components."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf

from upnet.config.errors import ConfigError, join_path, raise_errors, unknown_setting
from upnet.config.resolve import MISSING, aliases, has_missing, resolve
from upnet.config.signatures import Signature, locate, signature
from upnet.config.types import accepts_none, contains_component, not_finite_errors, value_errors
from upnet.utils.errors import UserError
from upnet.utils.paths import CONFIGS

Schema = TypeVar("Schema")

_UNSUPPORTED = {
    "_args_": "Give every argument by its name",
    "_recursive_": "Leave it out: nested components are always built",
    "_convert_": "Leave it out: mappings and lists are always passed as dict and list",
}
"""Keys that Hydra supports and upnet does not -> what to do instead."""


@dataclasses.dataclass(frozen=True)
class _Node:
    """A component of the config. `signature` is None for an invalid target, and for classes written in C."""

    path: str
    settings: Mapping[str, Any]
    target: str
    signature: Signature | None


def check(config: DictConfig | Mapping[str, Any], schema: type[Schema]) -> Schema:
    """Check a config and return its settings, with interpolations resolved, as an instance of `schema`.

    schema: a dataclass with a field for each key of the root. Its type hints are plain types, Literal, Annotated with
            constraints of `annotated_types`, Component, or a dataclass for a group of settings. A field without a
            default is required.

    Components are checked against the signatures of their targets, which are imported. Nothing is built.

    Raises ConfigError with an error for each unknown key, missing value, value of the wrong type or out of range,
    invalid `_target_` and interpolation that cannot be resolved. An invalid value that other settings refer to is
    reported once.

    >>> from typing import Annotated
    >>> from annotated_types import Ge
    >>> @dataclasses.dataclass
    ... class Settings:
    ...     steps: Annotated[int, Ge(1)]
    ...     optimizer: Any = None
    >>> sgd = {"_target_": "torch.optim.SGD", "_partial_": True}
    >>> check({"steps": 10, "optimizer": {**sgd, "lr": 0.1}}, Settings).steps
    10
    >>> try:
    ...     check({"steps": 0, "optimizer": {**sgd, "momentun": 1}}, Settings)
    ... except ConfigError as error:
    ...     print(error)
    steps=0: must be greater than or equal to 1
    optimizer.momentun=1: unknown setting of torch.optim.SGD. Did you mean optimizer.momentum?
    """
    assert dataclasses.is_dataclass(schema), f"the schema is a dataclass, not {schema}"
    errors: list[UserError] = []
    if not isinstance(config, DictConfig):
        config = OmegaConf.create(dict(config), flags={"allow_objects": True})
    settings = resolve(config, "", errors)
    nodes = list(_nodes("", settings, errors))
    known = _known_paths(nodes, schema)
    errors += _group_errors("", settings, schema, known)
    for node in nodes:
        errors += _component_errors(node, known)
    invalid = {error.setting for error in errors}
    repeated = {path for path, source in aliases(config).items() if source in invalid}
    raise_errors([error for error in errors if error.setting not in repeated])
    return _instance(settings, schema)


def _instance(settings: Mapping[str, Any], schema: type[Schema]) -> Schema:
    """The schema filled with checked settings."""
    hints = get_type_hints(schema, include_extras=True)
    values = {}
    for name, value in settings.items():
        group = _group_schema(hints[name])
        values[name] = value if group is None or value is None else _instance(value, group)
    return schema(**values)


def _nodes(path: str, value: Any, errors: list[UserError]) -> Iterator[_Node]:
    """Every component of the config, outermost first."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield _node(path, value, errors)
        else:
            errors += [
                UserError("needs a _target_ in the same mapping", setting=join_path(path, key))
                for key in value
                if key == "_partial_" or key in _UNSUPPORTED
            ]
        for key, item in value.items():
            yield from _nodes(join_path(path, key), item, errors)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(join_path(path, index), item, errors)


def _node(path: str, settings: Mapping[str, Any], errors: list[UserError]) -> _Node:
    target, target_signature, target_path = settings["_target_"], None, join_path(path, "_target_")
    if isinstance(target, str):
        try:
            target_signature = signature(locate(target, target_path))
        except ConfigError as error:
            errors += error.errors
    elif target is not MISSING:
        errors.append(UserError("must be the dotted name of a class", setting=target_path, value=target))
    return _Node(path, settings, str(target), target_signature)


def _component_errors(node: _Node, known: Mapping[str, Sequence[str]]) -> Iterator[UserError]:
    """The errors of a component's own keys and plain values."""
    for key, advice in _UNSUPPORTED.items():
        if key in node.settings:
            yield UserError("not supported", setting=join_path(node.path, key), cure=advice)
    partial = node.settings.get("_partial_", False)
    if not isinstance(partial, bool):
        yield UserError("must be true or false", setting=join_path(node.path, "_partial_"), value=partial)
    if node.signature is None:
        return
    if not partial:
        for name in node.signature.required:
            if name not in node.settings:
                path = join_path(node.path, name)
                yield UserError(f"required by {node.target}", setting=path, cure=f"Set {path}=…")
    for key, value in node.settings.items():
        if key in node.signature.names:
            yield from _argument_errors(join_path(node.path, key), key, value, node.signature)
        elif key not in ("_target_", "_partial_", *_UNSUPPORTED) and _is_unknown(key, node.signature):
            yield unknown_setting(node.path, key, value, node.target, node.signature.names, known)


def _is_unknown(key: str, target: Signature) -> bool:
    # A target with **kwargs may ignore a misspelt key or fail late: a name close to one of its arguments is rejected.
    return not target.accepts_kwargs or bool(get_close_matches(key, target.names, n=1, cutoff=0.75))


def _argument_errors(path: str, name: str, value: Any, target: Signature) -> Iterator[UserError]:
    default = target.defaults.get(name, MISSING)
    if type(value) is type(default) and value == default:
        return  # a default is allowed whatever its hint says: `size: int = None` is common
    if not contains_component(value) and not has_missing(value):
        yield from _value_errors(path, value, target.hints.get(name, Any))


def _value_errors(path: str, value: Any, hint: Any) -> Iterator[UserError]:
    """The errors of a plain value. NaN and infinity are never allowed, although they are floats.

    A name where a component belongs is probably the choice of a config group.
    """
    group = path.replace(".", "/")
    for error in list(not_finite_errors(path, value)) or value_errors(path, value, hint):
        if isinstance(value, str) and "/" in group and (CONFIGS / group).is_dir():
            error = UserError(error.problem, setting=path, value=value, cure=f"Write {group}={value or 'NAME'}")
        yield error


def _group_errors(
    path: str, settings: Mapping[str, Any], schema: type, known: Mapping[str, Sequence[str]]
) -> Iterator[UserError]:
    """The errors of a group of settings that a dataclass declares."""
    hints = get_type_hints(schema, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(schema)}
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if not has_default and name not in settings:
            yield UserError("required", setting=join_path(path, name), cure=f"Set {join_path(path, name)}=…")
    for key, value in settings.items():
        setting = join_path(path, key)
        if key not in fields:
            yield unknown_setting(path, key, value, "", tuple(fields), known)
        elif (group := _group_schema(hints[key])) is None:
            if not has_missing(value):
                yield from _value_errors(setting, value, hints[key])
        elif isinstance(value, Mapping):
            yield from _group_errors(setting, value, group, known)
        elif value is not MISSING and not (value is None and accepts_none(hints[key])):
            yield UserError("must be a mapping", setting=setting, value=value)


def _group_schema(hint: Any) -> type | None:
    """The dataclass in a hint `Group` or `Group | None`; None for other hints."""
    types = (branch for branch in (hint, *get_args(hint)) if isinstance(branch, type))
    return next((branch for branch in types if dataclasses.is_dataclass(branch)), None)


def _known_paths(nodes: Sequence[_Node], schema: type) -> dict[str, list[str]]:
    """The name of every setting -> its paths in the config."""
    paths: dict[str, list[str]] = {}
    _add_declared("", schema, paths)
    for node in nodes:
        for name in node.signature.names if node.signature else ():
            paths.setdefault(name, []).append(join_path(node.path, name))
    return paths


def _add_declared(path: str, schema: type, paths: dict[str, list[str]]) -> None:
    for name, hint in get_type_hints(schema).items():
        paths.setdefault(name, []).append(join_path(path, name))
        group = _group_schema(hint)
        if group is not None:
            _add_declared(join_path(path, name), group, paths)
