"""A value passes if, and only if, its hint admits it as it stands."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Protocol, Union

import pytest
from annotated_types import Ge, Gt, Le, Len, Lt, MultipleOf
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator

from upnet.config import Component
from upnet.config.types import value_faults


class Foreign: ...


class Called(Protocol):
    def __call__(self, channels: int) -> Foreign: ...


def odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd integer")
    return value


NODE = {"_target_": "some.Thing"}

ADMITTED = [
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

REFUSED = [
    (int, True, "x: true is not allowed: an integer is expected"),
    (int, "3", "x: '3' is not allowed: an integer is expected"),
    (int, 3.0, "x: 3.0 is not allowed: an integer is expected"),
    (float, True, "x: true is not allowed: a number is expected"),
    (float, "nan", "x: 'nan' is not allowed: a number is expected"),
    (bool, 1, "x: 1 is not allowed: true or false is expected"),
    (bool, "yes", "x: 'yes' is not allowed: true or false is expected"),
    (str, 3, "x: 3 is not allowed: text is expected"),
    (str, None, "x: null is not allowed: text is expected"),
    (str | None, 3, "x: 3 is not allowed: text or null is expected"),
    (int | str, 2.5, "x: 2.5 is not allowed: an integer or text is expected"),
    (list[int], "ab", "x: 'ab' is not allowed: a list is expected"),
    (tuple[int, int], [1, 2, 3], "x: [1, 2, 3] is not allowed: a list of at most 2 is expected"),
    (tuple[int, ...], [1, "a"], "x[1]: 'a' is not allowed: an integer is expected"),
    (int | list[int], ["a"], "x[0]: 'a' is not allowed: an integer is expected"),
    (Mapping[str, int], {"a": "b"}, "x.a: 'b' is not allowed: an integer is expected"),
    (dict[str, list[int]], {"a": [1, 2.5]}, "x.a[1]: 2.5 is not allowed: an integer is expected"),
    (Literal["a", "b", "c"], "d", "x: 'd' is not allowed: 'a', 'b' or 'c' is expected"),
    (Literal["a"] | Literal["b"] | None, "d", "x: 'd' is not allowed: 'a', 'b' or null is expected"),
    (Literal[1, 3], True, "x: true is not allowed: 1 or 3 is expected"),
    (Literal[1, 3], 1.0, "x: 1.0 is not allowed: 1 or 3 is expected"),
    (Annotated[int, Ge(1)], 0, "x: 0 is not allowed: at least 1 is expected"),
    (Annotated[int, Ge(1)], 1.5, "x: 1.5 is not allowed: an integer is expected"),
    (Optional[Annotated[int, Ge(1)]], 0, "x: 0 is not allowed: at least 1 or null is expected"),  # noqa: UP045
    (Annotated[float, Gt(0)], 0, "x: 0 is not allowed: more than 0 is expected"),
    (Annotated[float, Lt(1)], 1, "x: 1 is not allowed: less than 1 is expected"),
    (Annotated[float, Le(1)], 2, "x: 2 is not allowed: at most 1 is expected"),
    (Annotated[int, MultipleOf(8)], 12, "x: 12 is not allowed: a multiple of 8 is expected"),
    (Annotated[list[int], Len(1)], [], "x: [] is not allowed: a list of at least 1 is expected"),
    (Annotated[int, AfterValidator(odd)], 4, "x: 4 is not allowed: an odd integer is expected"),
    (timedelta, True, "x: true is not allowed: a duration is expected"),
    (Foreign, "a", "x: 'a' is not allowed: a component (with _target_) is expected"),
    (Callable[..., Foreign], "a", "x: 'a' is not allowed: a component (with _target_) is expected"),
    (Component, {"a": 1}, "x: {'a': 1} is not allowed: a component (with _target_) is expected"),
    (list[Component], [NODE, 3], "x[1]: 3 is not allowed: a component (with _target_) is expected"),
]


@pytest.mark.parametrize(("hint", "value"), ADMITTED)
def test_a_value_that_the_hint_admits_has_no_fault(hint: Any, value: object) -> None:
    assert list(value_faults("x", value, hint)) == []


@pytest.mark.parametrize(("hint", "value", "sentence"), REFUSED)
def test_a_refusal_says_the_value_and_what_is_allowed(hint: Any, value: object, sentence: str) -> None:
    assert list(value_faults("x", value, hint)) == [sentence]


@given(st.integers(), st.integers(), st.integers())
def test_a_range_admits_exactly_the_integers_inside(value: int, one: int, other: int) -> None:
    low, high = sorted((one, other))
    refused = list(value_faults("x", value, Annotated[int, Ge(low), Le(high)]))
    assert bool(refused) == (not low <= value <= high)


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none(), st.lists(st.integers())))
def test_a_value_is_of_exactly_one_plain_type_but_for_integers_that_serve_as_numbers(value: object) -> None:
    hints = {int: int, float: float, bool: bool, str: str, list: list[int], type(None): None}
    admitted = {kind for kind, hint in hints.items() if not list(value_faults("x", value, hint))}
    assert admitted == ({int, float} if type(value) is int else {type(value)})


def test_a_long_value_is_cut_in_the_sentence() -> None:
    (sentence,) = value_faults("x", "a" * 10_000, int)
    assert len(sentence) < 200
