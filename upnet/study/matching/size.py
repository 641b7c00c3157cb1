"""Matching by size: the width of an arm is solved for, so that it has the reference's parameters or multiply-adds."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from upnet.models import EncoderDecoder
from upnet.study.matching.base import Changes, UnmatchedError, VariantBuilder
from upnet.utils.errors import UserError

TOLERANCE = 0.01
"""The largest relative difference from the reference's parameters or multiply-adds that counts as equal."""

WIDTH, BLOCKS, GROWTH = "model.encoder.width", "model.block.blocks", "model.encoder.growth"
_STEPS_TO_BUILDABLE = 9
"""How many consecutive widths are tried; an operator may accept only widths that a number of groups divides."""


def match_size(
    build_variant: VariantBuilder,
    model: Mapping[str, Any],
    count: Callable[[EncoderDecoder], int],
    unit: str,
    target: int,
) -> Changes:
    """The changes with which a variant's count differs from the target by at most TOLERANCE.

    build_variant: builds the network of the variant with changes.
    model:         the variant's model config as plain data.
    count:         counts the parameters or multiply-adds of a network; `unit` is their name in messages.

    The width is solved for. Where integer widths are too coarse, other numbers of residual blocks are tried, the
    nearest first, each with its own width; then, where the encoder has levels, the growth of its width per level in
    steps of 0.001.

    Raises UnmatchedError with the nearest count.

    >>> from torch import nn
    >>> def build_variant(changes):
    ...     return nn.Conv2d(3, changes.get("model.encoder.width", 8), kernel_size=3)
    >>> def parameters(net):
    ...     return sum(parameter.numel() for parameter in net.parameters())
    >>> match_size(build_variant, {"encoder": {"width": 8}}, parameters, "parameters", target=2800)
    {'model.encoder.width': 100}
    """
    counts: dict[tuple[tuple[str, Any], ...], int | None] = {}

    def cost(changes: Changes) -> int | None:
        """The count of the network with these changes; None where it can't be built."""
        key = tuple(sorted(changes.items()))
        if key not in counts:
            try:
                counts[key] = count(build_variant(changes))
            except UserError:
                counts[key] = None
        return counts[key]

    nearest: Changes = {}
    nearest_count: int | None = None
    for candidates in _candidates(cost, model, target):
        for changes in candidates:
            value = cost(changes)
            if value is not None and (nearest_count is None or abs(value - target) < abs(nearest_count - target)):
                nearest, nearest_count = changes, value
        if nearest_count is not None and abs(nearest_count / target - 1) <= TOLERANCE:
            return {path: value for path, value in nearest.items() if value != _setting(model, path)}
    if nearest_count is None or not nearest:
        raise UnmatchedError(
            f"its {unit} can't be changed to the reference's {target}, because the config has no {WIDTH}"
        )
    settings = ", ".join(f"{path}={value}" for path, value in nearest.items())
    raise UnmatchedError(
        f"no width brings its {unit} within {TOLERANCE:.0%} of the reference's {target}; the nearest possible are "
        f"{nearest_count} ({nearest_count / target - 1:+.1%}) with {settings}"
    )


def _candidates(
    cost: Callable[[Changes], int | None], model: Mapping[str, Any], target: int
) -> Iterator[list[Changes]]:
    """Groups of changes to try, in order of preference; within a group the nearest count is preferred."""
    yield [{}]
    width, blocks, growth = (_setting(model, path) for path in (WIDTH, BLOCKS, GROWTH))
    if width is None:
        return
    widths = [{WIDTH: value} for value in _bracket(lambda value: cost({WIDTH: value}), target, width)]
    yield widths
    if blocks is not None:
        for number in _by_distance(blocks, max(2 * blocks, blocks + 4)):
            fixed = {BLOCKS: number}
            bracket = _bracket(lambda value, fixed=fixed: cost({**fixed, WIDTH: value}), target, width)
            yield [{**fixed, WIDTH: value} for value in bracket]
    if growth is not None and _setting(model, "model.encoder.depth"):
        for fixed in widths:
            bracket = _bracket(
                lambda value, fixed=fixed: cost({**fixed, GROWTH: value / 1000}), target, round(growth * 1000)
            )
            yield [{**fixed, GROWTH: value / 1000} for value in bracket if value >= 1000]


def _bracket(cost: Callable[[int], int | None], target: int, start: int) -> list[int]:
    """The two consecutive positive integers between which an increasing cost passes the target.

    cost:  of a number; None where the network can't be built with it. Then the next larger number is added.
    start: where the search begins.

    >>> _bracket(lambda number: number * number, target=10, start=1)
    [3, 4]
    """

    def reaches_target(number: int) -> bool:
        values = (cost(number + step) for step in range(_STEPS_TO_BUILDABLE))
        value = next((value for value in values if value is not None), None)
        return value is None or value >= target

    low, high = 0, start
    while not reaches_target(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches_target(middle) else (middle, high)
    buildable = next((n for n in range(high, high + _STEPS_TO_BUILDABLE) if cost(n) is not None), high)
    return list(dict.fromkeys(number for number in (low, high, buildable) if number >= 1))


def _by_distance(start: int, last: int) -> list[int]:
    """The integers from 1 to `last` except `start`, sorted by their distance from it.

    >>> _by_distance(3, last=5)
    [2, 4, 1, 5]
    """
    return sorted((number for number in range(1, last + 1) if number != start), key=lambda n: abs(n - start))


def _setting(model: Mapping[str, Any], path: str) -> Any:
    """The value at a path below `model`; None where there is none."""
    node: Any = model
    for key in path.split(".")[1:]:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
