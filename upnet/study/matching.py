"""Matching an arm to the reference: by parameters, by multiply-adds, or by the support of its operators."""

from collections.abc import Callable, Iterator, Mapping
from math import isqrt
from typing import Any

from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds, parameters
from upnet.models.decoder import level_name
from upnet.study.design import MatchMode
from upnet.upsample import Upsampler
from upnet.utils.errors import UserError

TOLERANCE = 0.01
"""The largest relative difference from the reference's parameters or multiply-adds that counts as equal."""

WIDTH, BLOCKS, GROWTH = "model.encoder.width", "model.block.blocks", "model.encoder.growth"
_STEPS_TO_BUILDABLE = 9
"""How many consecutive widths are tried, where an operator needs a number of channels that is divisible."""

Changes = dict[str, Any]
"""Path in the config -> the value that matching gives the setting."""

Make = Callable[[Mapping[str, Any]], EncoderDecoder]
"""Builds a variant's network with such changes. Raises ValueError where it can't be built."""


class UnmatchedError(UserError):
    """No values of an arm's settings make it comparable with the reference. The message contains the nearest."""


def match_variant(mode: MatchMode, make: Make, model: Mapping[str, Any], reference: EncoderDecoder) -> Changes:
    """The changes that make a variant comparable with the reference; none for the mode "none".

    make:      builds the variant with changes.
    model:     the variant's model config as plain data, which determines what can be changed.
    reference: the network of the reference arm at the same levels of all factors.

    Raises UnmatchedError where no changes are sufficient.
    """
    if mode == "none":
        return {}
    if mode == "support":
        return match_support(make, model, reference)
    count, unit = (parameters, "parameters") if mode == "params" else (multiply_adds, "multiply-adds")
    return match_size(make, model, count, unit, count(reference))


def match_size(
    make: Make, model: Mapping[str, Any], count: Callable[[EncoderDecoder], int], unit: str, target: int
) -> Changes:
    """The changes with which a variant's count differs from the target by at most TOLERANCE.

    The width is solved for. Where integer widths are too coarse, other numbers of residual blocks are tried, the
    nearest first, each with its own width; then, where the encoder has levels, the growth of its width per level in
    steps of 0.001.

    Raises UnmatchedError with the nearest count.
    """
    known: dict[tuple[tuple[str, Any], ...], int | None] = {}

    def cost(changes: Changes) -> int | None:
        key = tuple(sorted(changes.items()))
        if key not in known:
            try:
                known[key] = count(make(changes))
            except ValueError:
                known[key] = None
        return known[key]

    best: tuple[float, Changes, int] | None = None
    for candidates in _candidates(cost, model, target):
        for changes in candidates:
            value = cost(changes)
            if value is not None and (best is None or abs(value / target - 1) < best[0]):
                best = (abs(value / target - 1), changes, value)
        if best is not None and best[0] <= TOLERANCE:
            return {path: value for path, value in best[1].items() if value != _setting(model, path)}
    if best is None or not best[1]:
        raise UnmatchedError(
            f"its {unit} can't be changed to the reference's {target}, because the config has no {WIDTH}"
        )
    settings = ", ".join(f"{path}={value}" for path, value in best[1].items())
    raise UnmatchedError(
        f"no width brings its {unit} within {TOLERANCE:.0%} of the reference's {target}; the nearest possible are "
        f"{best[2]} ({best[2] / target - 1:+.1%}) with {settings}"
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

    cost:  None for a number with which the network can't be built.
    start: where the search begins.
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
    """The integers from 1 to `last` except `start`, sorted by their distance from it."""
    return sorted((number for number in range(1, last + 1) if number != start), key=lambda n: abs(n - start))


def match_support(make: Make, model: Mapping[str, Any], reference: EncoderDecoder) -> Changes:
    """The kernel sizes that give every operator the number of LR taps per output phase of the reference.

    Of several sizes the largest is taken, with which no output phase has fewer taps: a sub-pixel convolution of size k,
    a transposed convolution of size k·s, and behind nearest the convolution that spans the same k input pixels.

    Raises UnmatchedError with the nearest number of taps.
    """
    wanted = {location: support_sizes(operators) for location, operators in upsamplers_by_location(reference).items()}
    operators = upsamplers_by_location(make({}))
    if {name: len(there) for name, there in operators.items()} != {name: len(there) for name, there in wanted.items()}:
        raise UnmatchedError(
            f"it upsamples at {', '.join(operators) or 'no location'} and the reference at "
            f"{', '.join(wanted) or 'no location'}, so that no support can be matched"
        )
    nodes = model["upsampler"]
    if not isinstance(nodes, list):
        return _match_kernel(make, "model.upsampler", list(operators), wanted, operators)
    changes: Changes = {}
    for number, location in enumerate(operators):
        changes |= _match_kernel(make, f"model.upsampler[{number}]", [location], wanted, operators)
    return changes


def _match_kernel(
    make: Make,
    path: str,
    locations: list[str],
    wanted_by_location: Mapping[str, list[int | None]],
    operators_by_location: Mapping[str, list[Upsampler]],
) -> Changes:
    """The change of one operator's config, which serves these locations."""
    wanted = [count for location in locations for count in wanted_by_location[location]]
    operators = [operator for location in locations for operator in operators_by_location[location]]
    present = support_sizes(operators)
    if None in wanted:
        raise UnmatchedError("the reference uses all LR pixels, or doesn't declare its number of LR taps")
    if present == wanted:
        return {}
    name, steered = type(operators[0]).__name__, operators[0].support_argument
    if steered is None:
        raise UnmatchedError(
            f"{name} has {_format_counts(present)} LR taps per output phase, the reference {_format_counts(wanted)}, "
            "and it has no kernel size to change"
        )
    argument, smallest = steered
    # A kernel of this many output pixels covers one input pixel more per axis than is wanted.
    largest = max((isqrt(count or 0) + 1) * int(op.scale) for count, op in zip(wanted, operators, strict=True))
    by_size: dict[int, list[int | None]] = {}
    for size in range(smallest, largest + 1):
        try:
            changed = upsamplers_by_location(make({f"{path}.{argument}": size}))
        except ValueError:
            continue  # a size that the operator rejects, such as an even one
        by_size[size] = support_sizes([operator for location in locations for operator in changed[location]])
    matching = [size for size, counts in by_size.items() if counts == wanted]
    if not matching:
        size = min(by_size, key=lambda size: _distance(by_size[size], wanted), default=None)
        nearest = present if size is None else by_size[size]
        setting = "" if size is None else f", with {argument}={size}"
        raise UnmatchedError(
            f"no {argument} gives {name} the reference's {_format_counts(wanted)} LR taps per output phase; "
            f"the nearest possible is {_format_counts(nearest)}{setting}"
        )
    return {f"{path}.{argument}": max(matching)}


def upsamplers_by_location(net: EncoderDecoder) -> dict[str, list[Upsampler]]:
    """The operators at each location where features are upsampled, from the coarsest grid to the finest."""
    operators: dict[str, list[Upsampler]] = {}
    if net.decoder is not None:
        for level, decoder_level in net.decoder.by_level().items():
            operators[level_name(level)] = [decoder_level.upsampler]
    if len(net.tail.upsamplers):
        operators["the tail"] = list(net.tail.upsamplers)  # pyright: ignore[reportArgumentType]
    return operators


def support_sizes(operators: list[Upsampler]) -> list[int | None]:
    """The LR taps per output phase of each operator; None where it is unknown or the support is the whole image."""
    return [operator.support_size for operator in operators]


def _distance(counts: list[int | None], wanted: list[int | None]) -> int:
    return sum(abs((count or 0) - (target or 0)) for count, target in zip(counts, wanted, strict=True))


def _format_counts(counts: list[int | None]) -> str:
    """`9`, or `9 and 16` where they differ."""
    return " and ".join("all" if count is None else str(count) for count in dict.fromkeys(counts))


def _setting(model: Mapping[str, Any], path: str) -> Any:
    """The value at a path below `model`; None where there is none."""
    node: Any = model
    for key in path.split(".")[1:]:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
