"""Whether a plain value is one that a type hint admits, said in a sentence."""

import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import ErrorDetails, PydanticCustomError, SchemaError

from upnet.config.faults import below, depth, either, shown

_A_COMPONENT = "a component (a mapping with _target_)"

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
    "literal_error": lambda context: context["expected"],
    "enum": lambda context: context["expected"],
    "greater_than": lambda context: f"more than {context['gt']}",
    "greater_than_equal": lambda context: f"at least {context['ge']}",
    "less_than": lambda context: f"less than {context['lt']}",
    "less_than_equal": lambda context: f"at most {context['le']}",
    "multiple_of": lambda context: f"a multiple of {context['multiple_of']}",
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
    if get_origin(hint) is Annotated:
        return admits_none(get_args(hint)[0])
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


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
    return []


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


def _expected(details: Sequence[ErrorDetails], nullable: bool) -> str:
    """What would have been right. Where the type was, only its limits are of interest."""
    limits = [detail for detail in details if detail["type"] in _LIMITS]
    words = [_LIMITS[detail["type"]](detail.get("ctx", {})) for detail in limits]
    if not limits or any(detail["type"] in ("literal_error", "enum") for detail in limits):
        words += [_TYPES.get(d["type"], d["msg"].lower()) for d in details if d["type"] not in _LIMITS]
    return either([*words, "null"] if nullable else words)
