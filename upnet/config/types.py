"""Check a plain value against a type hint, with pydantic; the type hint of components."""

import json
import math
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import ErrorDetails, PydanticCustomError, SchemaError

from upnet.config.errors import depth, join_path
from upnet.utils.errors import UserError, join_or

_COMPONENT = "Input should be a component (with _target_)"
_MESSAGES = {
    "callable_type": _COMPONENT,
    "needs_python_object": _COMPONENT,
    "missing": "Input should be a longer list",
}
"""Messages for the types of pydantic's errors whose own does not fit a yaml file."""


def _component(value: object) -> object:
    if isinstance(value, Mapping) and "_target_" in value:
        return value
    raise PydanticCustomError("component", _COMPONENT)


Component = Annotated[Any, PlainValidator(_component)]
"""Type hint of a setting that holds a component. It combines with others: `Component | None`, `dict[str, Component]`.

A checked setting of this type is a dict with `_target_`, from which `upnet.config.build` makes the object.
"""


def contains_component(value: Any) -> bool:
    """Whether a value is or contains a component, whose type is known only when it is built."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(map(contains_component, value.values()))
    return isinstance(value, list) and any(map(contains_component, value))


def value_errors(path: str, value: object, hint: Any) -> Iterator[UserError]:
    """An error for each part of a value that its type hint does not allow; none for a hint that cannot be checked.

    Values are not converted: 3.0 is not an integer, true is not a number, and '3' is neither. Since yaml has only
    numbers, strings and lists, an integer is allowed for a float, a string for a path, and a list for any sequence.

    >>> print(*value_errors("optimizer.betas", [0.9, "high"], tuple[float, float]))
    optimizer.betas[1]=high: must be a valid number
    """
    by_path: dict[str, tuple[object, list[ErrorDetails]]] = {}
    for error in _pydantic_errors(value, hint):
        part_path, part = _locate(path, value, error["loc"])
        by_path.setdefault(part_path, (part, []))[1].append(error)
    # Of the branches of a union, the one that failed deepest is the one that was meant: [1, 'a'] is a list of integers
    # with a wrong item.
    deepest = max(map(depth, by_path), default=0)
    for part_path, (part, errors) in by_path.items():
        if depth(part_path) == deepest:
            problem = _problem(errors, nullable=part_path == path and accepts_none(hint))
            yield UserError(problem, setting=part_path, value=part)


def not_finite_errors(path: str, value: Any) -> Iterator[UserError]:
    """An error for each NaN or infinity in a value or a list: both are floats, but never valid settings."""
    if isinstance(value, float) and not math.isfinite(value):
        yield UserError("must be a finite number", setting=path, value=value)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from not_finite_errors(join_path(path, index), item)


def accepts_none(hint: Any) -> bool:
    """Whether a type hint allows null.

    >>> accepts_none(int | None), accepts_none(int)
    (True, False)
    """
    return type(None) in _branches(hint)


def _branches(hint: Any) -> Iterator[Any]:
    """The branches of a union, or the hint itself; without the metadata of Annotated."""
    if get_origin(hint) is Annotated:
        yield from _branches(get_args(hint)[0])
    elif get_origin(hint) in (Union, types.UnionType):
        for branch in get_args(hint):
            yield from _branches(branch)
    else:
        yield hint


def _pydantic_errors(value: object, hint: Any) -> list[ErrorDetails]:
    # In its strict JSON mode pydantic accepts a list for a tuple, and converts nothing else. File names may have bytes
    # that are not UTF-8: they are replaced, since only the type of a string is checked.
    text = json.dumps(value, default=str, ensure_ascii=False).encode(errors="replace")
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_json(text, strict=True)
    except ValidationError as error:
        return error.errors(include_url=False)
    except (PydanticUserError, PydanticUndefinedAnnotation, SchemaError):
        return []
    return _pydantic_errors(str(value), hint) if _equals_literal_of_other_type(value, hint) else []


def _equals_literal_of_other_type(value: object, hint: Any) -> bool:
    """Whether a Literal allows a value only because True == 1 == 1.0 in Python."""
    branches = list(_branches(hint))
    literals = [literal for branch in branches if get_origin(branch) is Literal for literal in get_args(branch)]
    equal = [literal for literal in literals if literal == value]
    return bool(equal) and type(value) not in [*map(type, equal), *branches]


def _locate(path: str, value: Any, steps: Sequence[int | str]) -> tuple[str, Any]:
    """The path and the value at pydantic's location, whose steps also name the branches of unions."""
    for step in steps:
        if isinstance(value, Mapping):
            key = next((key for key in value if str(key) == str(step)), None)
            if key is None:
                continue
            value = value[key]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            key, value = step, value[step]
        else:
            continue
        path = join_path(path, key)
    return path, value


def _problem(errors: Sequence[ErrorDetails], nullable: bool) -> str:
    """Pydantic's messages as one clause: `Input should be a valid integer` -> `must be a valid integer or null`."""
    expected: list[str] = []
    for error in errors:
        message = _MESSAGES.get(error["type"], error["msg"])
        _, should, clause = message.partition(" should ")
        if not clause.startswith("be "):  # of the number of items, or a validator's own
            clause = clause.replace(" after validation", "")
            return f"must {clause}" if should else message.removeprefix("Value error, ")
        clause = clause.removeprefix("be ").replace("array", "list")
        # The branches of a union of literals are one enumeration.
        expected += clause.replace(" or ", ", ").split(", ") if error["type"] == "literal_error" else [clause]
    return f"must be {join_or([*expected, 'null'] if nullable else expected)}"
