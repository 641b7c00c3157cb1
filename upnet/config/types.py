"""Whether a plain value is one that a type hint admits, said in a sentence."""

import json
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import ErrorDetails, PydanticCustomError, SchemaError

from upnet.config.errors import below, depth, either, shown

_A_COMPONENT = "a component (with _target_)"


def _number(limit: object) -> str:
    """A limit as people write it: 1, also where pydantic compares with 1.0."""
    return f"{limit:g}" if isinstance(limit, float) else str(limit)


# pydantic's kinds of error -> what it expected: a type, or how far a value of the right type may go.
_TYPES: dict[str, str] = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "time_delta_type": "a duration",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "iterable_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "null",
    "callable_type": _A_COMPONENT,
    "needs_python_object": _A_COMPONENT,
    "component": _A_COMPONENT,
}
_LIMITS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda context: f"more than {_number(context['gt'])}",
    "greater_than_equal": lambda context: f"at least {_number(context['ge'])}",
    "less_than": lambda context: f"less than {_number(context['lt'])}",
    "less_than_equal": lambda context: f"at most {_number(context['le'])}",
    "multiple_of": lambda context: f"a multiple of {_number(context['multiple_of'])}",
    "finite_number": lambda _: "a finite number",
    "too_short": lambda context: f"a list of at least {context['min_length']}",
    "too_long": lambda context: f"a list of at most {context['max_length']}",
    "missing": lambda _: "a longer list",
    "string_too_short": lambda context: f"text of at least {context['min_length']} characters",
    "string_too_long": lambda context: f"text of at most {context['max_length']} characters",
    "value_error": lambda context: str(context["error"]),
}


def _component(value: object) -> object:
    if isinstance(value, Mapping) and "_target_" in value:
        return value
    raise PydanticCustomError("component", "a component")


Component = Annotated[Any, PlainValidator(_component)]
"""The hint of a setting that holds a component; goes with others: `Component | None`, `dict[str, Component]`."""


def value_faults(path: str, value: object, hint: Any) -> Iterator[str]:
    """A sentence for every place at which a value isn't what its hint admits; none for a hint that cannot be tested.

    Nothing is converted and nothing guessed: 3.0 is no integer, true no number, '3' neither. An integer serves as a
    number, text as a path, and a list as a tuple or any other sequence, since yaml has no other.
    """
    found: dict[str, tuple[object, list[ErrorDetails]]] = {}
    for error in _errors(value, hint):
        place, part = _follow(path, value, error["loc"])
        found.setdefault(place, (part, []))[1].append(error)
    # Of a union's branches, the one that came deepest is what was meant: [1, 'a'] is a list with a wrong item.
    deepest = max(map(depth, found), default=0)
    for place, (part, errors) in found.items():
        if depth(place) == deepest:
            expected = _expected(errors, nullable=place == path and admits_none(hint))
            yield f"{place}: {shown(part)} is not allowed: {expected} is expected"


def admits_none(hint: Any) -> bool:
    """Whether null is one of the values of a hint."""
    return type(None) in _branches(hint)


def _branches(hint: Any) -> Iterator[Any]:
    """What a hint is made of: itself, or the branches of a union, without what Annotated adds."""
    if get_origin(hint) is Annotated:
        yield from _branches(get_args(hint)[0])
    elif get_origin(hint) in (Union, types.UnionType):
        for branch in get_args(hint):
            yield from _branches(branch)
    else:
        yield hint


def _only_equal(value: object, hint: Any) -> bool:
    """Whether a value is let in by a Literal only because Python has True == 1 == 1.0."""
    branches = list(_branches(hint))
    allowed = [option for branch in branches if get_origin(branch) is Literal for option in get_args(branch)]
    alike = [option for option in allowed if option == value]
    return bool(alike) and type(value) not in [*map(type, alike), *branches]


def _errors(value: object, hint: Any) -> list[ErrorDetails]:
    # A config is what JSON can say, and pydantic's strict reading of JSON knows that a list has to serve as a tuple.
    # A file's name may hold bytes that no encoding has; as text they count like others.
    text = json.dumps(value, default=str, ensure_ascii=False).encode(errors="replace")
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).validate_json(text, strict=True)
    except ValidationError as error:
        return error.errors(include_url=False)
    except (PydanticUserError, PydanticUndefinedAnnotation, SchemaError):
        return []
    return _errors(str(value), hint) if _only_equal(value, hint) else []


def _follow(path: str, value: Any, steps: Sequence[int | str]) -> tuple[str, Any]:
    """Go down the keys and items among pydantic's steps, which also name the branches of unions."""
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
        path = below(path, key)
    return path, value


def _expected(errors: Sequence[ErrorDetails], nullable: bool) -> str:
    """What would have been right. Where only a limit was passed, the type needs no mention."""
    words = [_LIMITS[error["type"]](error.get("ctx", {})) for error in errors if error["type"] in _LIMITS]
    for error in [] if words else errors:
        if error["type"] in ("literal_error", "enum"):
            words += re.split(", | or ", error.get("ctx", {})["expected"])
        else:
            words += _TYPES.get(error["type"], error["msg"].lower()).split(" or ")
    return either([*words, "null"] if nullable else words)
