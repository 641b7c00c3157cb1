"""Values are checked against type hints without conversion."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Protocol, Union

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MultipleOf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator

from upnet.config import Component
from upnet.config.types import value_errors


class Foreign: ...


class Called(Protocol):
    def __call__(self, channels: int) -> Foreign: ...


def odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd integer")
    return value


NODE = {"_target_": "some.Thing"}

ACCEPTED = [
    (int, -3),
    (float, 3),
    (float, float("inf")),
    (bool, True),
    (str, "a"),
    (Any, {"a": [1]}),
    (Path, "a/b"),
    (str | Path, "a/b"),
    (Path, "caf\udce9"),
    (Optional[int], None),  # noqa: UP045  # as older libraries write it
    (Union[int, str], "a"),  # noqa: UP007
    (tuple[int, int], [1, 2]),
    (tuple[float, ...], [1, 2.5]),
    (Sequence[int], []),
    (Iterable[int], [1]),
    (Mapping[str, int], {"a": 1}),
    (Literal[1, 3], 3),
    (Literal[1, True], True),
    (Literal[1] | float, 1.0),
    (Optional[Annotated[int, Ge(1)]], None),  # noqa: UP045
    (Component, NODE),
    (dict[str, Component | None], {"a": NODE, "b": None}),
    (list[Component], [NODE]),
    (Called, "cannot be tested"),
    ("no.such.thing", "cannot be tested"),
]

REJECTED = [
    (int, True, "x", True, "must be a valid integer"),
    (int, "3", "x", "3", "must be a valid integer"),
    (int, 3.0, "x", 3.0, "must be a valid integer"),
    (float, True, "x", True, "must be a valid number"),
    (float, "nan", "x", "nan", "must be a valid number"),
    (bool, 1, "x", 1, "must be a valid boolean"),
    (bool, "yes", "x", "yes", "must be a valid boolean"),
    (str, 3, "x", 3, "must be a valid string"),
    (str, None, "x", None, "must be a valid string"),
    (str | None, 3, "x", 3, "must be a valid string or null"),
    (int | str, 2.5, "x", 2.5, "must be a valid integer or a valid string"),
    (list[int], "ab", "x", "ab", "must be a valid list"),
    (tuple[int, int], [1, 2, 3], "x", [1, 2, 3], "must have at most 2 items, not 3"),
    (tuple[int, ...], [1, "a"], "x[1]", "a", "must be a valid integer"),
    (int | list[int], ["a"], "x[0]", "a", "must be a valid integer"),
    (Mapping[str, int], {"a": "b"}, "x.a", "b", "must be a valid integer"),
    (dict[str, list[int]], {"a": [1, 2.5]}, "x.a[1]", 2.5, "must be a valid integer"),
    (Literal["a", "b", "c"], "d", "x", "d", "must be 'a', 'b' or 'c'"),
    (Literal["a"] | Literal["b"] | None, "d", "x", "d", "must be 'a', 'b' or null"),
    (Literal[1, 3], True, "x", True, "must be 1 or 3"),
    (Literal[1, 3], 1.0, "x", 1.0, "must be 1 or 3"),
    (Annotated[int, Ge(1)], 0, "x", 0, "must be greater than or equal to 1"),
    (Annotated[int, Ge(1)], 1.5, "x", 1.5, "must be a valid integer"),
    (Optional[Annotated[int, Ge(1)]], 0, "x", 0, "must be greater than or equal to 1 or null"),  # noqa: UP045
    (Annotated[float, Gt(0)], 0, "x", 0, "must be greater than 0"),
    (Annotated[float, Lt(1)], 1, "x", 1, "must be less than 1"),
    (Annotated[float, Le(1)], 2, "x", 2, "must be less than or equal to 1"),
    (Annotated[int, MultipleOf(8)], 12, "x", 12, "must be a multiple of 8"),
    (Annotated[list[int], Len(1)], [], "x", [], "must have at least 1 item, not 0"),
    (Annotated[int, AfterValidator(odd)], 4, "x", 4, "an odd integer"),
    (timedelta, True, "x", True, "must be a valid duration"),
    (Foreign, "a", "x", "a", "must be a component (with _target_)"),
    (Callable[..., Foreign], "a", "x", "a", "must be a component (with _target_)"),
    (Component, {"a": 1}, "x", {"a": 1}, "must be a component (with _target_)"),
    (list[Component], [NODE, 3], "x[1]", 3, "must be a component (with _target_)"),
]
"""(hint, value, setting of the error, its value, its problem)"""


@pytest.mark.parametrize(("hint", "value"), ACCEPTED)
def test_a_value_of_the_hinted_type_is_accepted(hint: Any, value: object) -> None:
    assert list(value_errors("x", value, hint)) == []


@pytest.mark.parametrize(("hint", "value", "setting", "invalid", "problem"), REJECTED)
def test_a_value_of_another_type_is_rejected(
    hint: Any, value: object, setting: str, invalid: object, problem: str
) -> None:
    (error,) = value_errors("x", value, hint)
    assert (error.setting, error.value, error.problem) == (setting, invalid, problem)
    assert (error.allowed, error.cure) == ("", "")


@settings(max_examples=50)
@given(st.integers(), st.integers(), st.integers())
def test_a_range_accepts_exactly_the_integers_inside(value: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    rejected = list(value_errors("x", value, Annotated[int, Ge(low), Le(high)]))
    assert bool(rejected) == (not low <= value <= high)


@settings(max_examples=50)
@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.lists(st.integers())))
def test_a_value_has_exactly_one_plain_type_except_integers_which_are_numbers(value: object) -> None:
    hints = {int: int, float: float, bool: bool, str: str, list: list[int], type(None): None}
    accepted = {kind for kind, hint in hints.items() if not list(value_errors("x", value, hint))}
    assert accepted == ({int, float} if type(value) is int else {type(value)})


def test_a_long_value_is_shortened_in_the_message() -> None:
    (error,) = value_errors("x", "a" * 10_000, int)
    assert len(str(error)) < 200
