"""Which cases of a parametrised test run by default, and which only with `-m full`."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import pytest

Case = dict[str, Any]
"""One combination of a test's parameters, value by name."""


def covering(cases: Sequence[Case], start: int) -> set[int]:
    """Positions of a few cases that together hold every value of every parameter; the search begins at `start`.

    >>> sorted(covering([{"scale": s, "dtype": d} for s in (2, 3) for d in ("float32", "bfloat16")], start=0))
    [0, 3]
    """
    missing = {(name, repr(value)) for case in cases for name, value in case.items()}
    order = [(start + offset) % len(cases) for offset in range(len(cases))]
    chosen: set[int] = set()
    while missing:
        best = max(order, key=lambda index: len(missing & {(name, repr(v)) for name, v in cases[index].items()}))
        chosen.add(best)
        missing -= {(name, repr(value)) for name, value in cases[best].items()}
    return chosen


def rotating(cases: Sequence[Case], start: int) -> set[int]:
    """The position of one case, another one for each `start`.

    >>> [rotating([{"scale": 2}, {"scale": 3}], start) for start in range(3)]
    [{0}, {1}, {0}]
    """
    return {start % len(cases)}


def mark_full(items: Sequence[pytest.Item]) -> None:
    """Mark as `full` every case that the marker `covering` or `rotating` of its test leaves out.

    The cases of a test are sampled for each value of the parameter `per` separately, by default for each `factory`.
    """
    for name, choose in (("covering", covering), ("rotating", rotating)):
        marked = [item for item in items if isinstance(item, pytest.Function) and item.get_closest_marker(name)]
        for _, cases in groupby(marked, key=lambda item: item.function):
            for group, start in _groups(list(cases), name):
                kept = choose([dict(item.callspec.params) for item in group], start)
                for index, item in enumerate(group):
                    if index not in kept:
                        item.add_marker(pytest.mark.full)


def _groups(items: list[pytest.Function], marker: str) -> Iterator[tuple[list[pytest.Function], int]]:
    """The cases of one test for each value of `per`, with a start that spreads the samples over the combinations."""
    closest = items[0].get_closest_marker(marker)
    assert closest is not None
    per = closest.kwargs.get("per", "factory")
    groups: dict[Any, list[pytest.Function]] = {}
    for item in items:
        value = item.callspec.params.get(per)
        groups.setdefault(id(value) if isinstance(value, Callable) else repr(value), []).append(item)
    for number, group in enumerate(groups.values()):
        # The prime shares no factor with the number of combinations of any test here.
        yield group, 101 * number % len(group)
