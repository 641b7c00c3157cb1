"""Arms made comparable: by parameters, by true multiply-adds, or by the support of their operators."""

from collections.abc import Callable, Iterator, Mapping
from math import isqrt
from typing import Any

from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds, parameters
from upnet.models.decoder import level_names
from upnet.study.design import Regime
from upnet.upsample import Upsampler

TOLERANCE = 0.01
"""How far, as a share of the reference's, parameters and multiply-adds may differ in the regimes P and F."""

WIDTH, BLOCKS, GROWTH = "model.encoder.width", "model.block.blocks", "model.encoder.growth"

Changes = dict[str, Any]
"""By path in the config, the value that a regime gives a setting."""

Make = Callable[[Mapping[str, Any]], EncoderDecoder]
"""The network of a variant with such changes. Raises ValueError where it can't be built."""


class UnmatchedError(ValueError):
    """An arm that no choice of its settings makes comparable; the message says what comes nearest."""


def match(regime: Regime, make: Make, model: Mapping[str, Any], reference: EncoderDecoder) -> Changes:
    """What has to be changed in a variant for it to stand beside the reference; nothing in regime N.

    make:      builds the variant with changes.
    model:     its config as plain data, which tells what can be changed.
    reference: the network of the reference arm at the same levels of all factors.

    Raises UnmatchedError where nothing does.
    """
    if regime == "N":
        return {}
    if regime == "S":
        return match_support(make, model, reference)
    count, unit = (parameters, "parameters") if regime == "P" else (multiply_adds, "multiply-adds")
    return match_size(make, model, count, unit, count(reference))


def match_size(
    make: Make, model: Mapping[str, Any], count: Callable[[EncoderDecoder], int], unit: str, target: int
) -> Changes:
    """The change of width that makes a variant's count agree with the target within `TOLERANCE`.

    Where whole widths are too coarse, other numbers of residual blocks are tried, the nearest first, each with its own
    width; and where the encoder has a depth, the growth of its width from level to level, in thousandths.
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
    for group in _sizes(cost, model, target):
        for changes in group:
            made = cost(changes)
            if made is not None and (best is None or abs(made / target - 1) < best[0]):
                best = (abs(made / target - 1), changes, made)
        if best is not None and best[0] <= TOLERANCE:
            return {path: value for path, value in best[1].items() if value != _setting(model, path)}
    if best is None or not best[1]:
        raise UnmatchedError(
            f"its {unit} can't be changed to the reference's {target}: the config has no {WIDTH} to solve for"
        )
    settings = ", ".join(f"{path}={value}" for path, value in best[1].items())
    raise UnmatchedError(
        f"no width makes its {unit} agree with the reference's {target} within {TOLERANCE:.0%}; nearest possible are "
        f"{best[2]} ({best[2] / target - 1:+.1%}) with {settings}"
    )


def _sizes(cost: Callable[[Changes], int | None], model: Mapping[str, Any], target: int) -> Iterator[list[Changes]]:
    """What may be tried, in the order in which it is preferred: of each group the nearest counts."""
    yield [{}]
    width, blocks, growth = (_setting(model, path) for path in (WIDTH, BLOCKS, GROWTH))
    if width is None:
        return
    around = [{WIDTH: one} for one in _around(lambda one: cost({WIDTH: one}), target, width)]
    yield around
    if blocks is not None:
        for number in _nearest_first(blocks, max(2 * blocks, blocks + 4)):
            fixed = {BLOCKS: number}
            yield [
                {**fixed, WIDTH: one} for one in _around(lambda one, f=fixed: cost({**f, WIDTH: one}), target, width)
            ]
    if growth is not None and _setting(model, "model.encoder.depth"):
        for fixed in around:
            thousandths = _around(lambda one, f=fixed: cost({**f, GROWTH: one / 1000}), target, round(growth * 1000))
            yield [{**fixed, GROWTH: one / 1000} for one in thousandths if one >= 1000]


def _around(cost: Callable[[int], int | None], target: int, start: int) -> list[int]:
    """The two neighbours, of all whole numbers from 1 on, between which a rising cost passes the target."""

    def reaches(number: int) -> bool:
        # A few numbers in a row may not be possible, where an operator wants its channels to be divisible.
        made = next((made for step in range(9) if (made := cost(number + step)) is not None), None)
        return made is None or made >= target

    low, high = 0, start
    while not reaches(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    found = [number for number in (low, high) if number >= 1]
    possible = (number for number in range(high, high + 9) if cost(number) is not None)
    return [*found, *(number for number in [next(possible, high)] if number not in found)]


def _nearest_first(middle: int, last: int) -> list[int]:
    """Every other whole number from 1 to the last, those near the middle first."""
    return sorted((number for number in range(1, last + 1) if number != middle), key=lambda one: abs(one - middle))


def match_support(make: Make, model: Mapping[str, Any], reference: EncoderDecoder) -> Changes:
    """The kernels that give every operator as many LR taps per output phase as the reference has in the same place.

    Of several it is the largest, with which no output phase has fewer: a sub-pixel convolution of k, a transposed one
    of k·s, and the convolution behind nearest that spans the same k input pixels.
    """
    wanted = {place: taps(operators) for place, operators in places(reference).items()}
    own = places(make({}))
    if {place: len(operators) for place, operators in own.items()} != {
        place: len(counts) for place, counts in wanted.items()
    }:
        raise UnmatchedError(
            f"its features grow at {', '.join(own) or 'no place'}, and the reference's at "
            f"{', '.join(wanted) or 'no place'}, so no support can be matched"
        )
    nodes = model["upsampler"]
    if not isinstance(nodes, list):
        return _match_node(make, "model.upsampler", list(own), wanted, own)
    changes: Changes = {}
    for number, place in enumerate(own):
        changes |= _match_node(make, f"model.upsampler[{number}]", [place], wanted, own)
    return changes


def _match_node(
    make: Make,
    path: str,
    filled: list[str],
    wanted: Mapping[str, list[int | None]],
    own: Mapping[str, list[Upsampler]],
) -> Changes:
    """The change of one operator's config, which fills the places of these names."""
    asked = [count for place in filled for count in wanted[place]]
    operators = [operator for place in filled for operator in own[place]]
    found = taps(operators)
    if None in asked:
        raise UnmatchedError("the reference doesn't say how many LR taps an output phase has, or has all of them")
    if found == asked:
        return {}
    name, steered = type(operators[0]).__name__, operators[0].support_argument
    if steered is None:
        raise UnmatchedError(
            f"{name} has {_listed(found)} LR taps per output phase where the reference has {_listed(asked)}, and no "
            f"kernel to change; nearest possible is {_listed(found)}"
        )
    argument, least = steered
    # So many output pixels wide is a kernel of one input pixel more than is asked for.
    most = max((isqrt(count or 0) + 1) * int(op.scale) for count, op in zip(asked, operators, strict=True))
    near: dict[int, list[int | None]] = {}
    for size in range(least, most + 1):
        try:
            grown = places(make({f"{path}.{argument}": size}))
        except ValueError:
            continue  # a size that the operator refuses, such as an even one
        near[size] = taps([operator for place in filled for operator in grown[place]])
    matching = [size for size, counts in near.items() if counts == asked]
    if not matching:
        size = min(near, key=lambda one: _distance(near[one], asked), default=None)
        told = f"{_listed(found)}" if size is None else f"{_listed(near[size])}, with {argument}={size}"
        raise UnmatchedError(
            f"no {argument} gives {name} the {_listed(asked)} LR taps per output phase that the reference has; "
            f"nearest possible is {told}"
        )
    return {f"{path}.{argument}": max(matching)}


def places(net: EncoderDecoder) -> dict[str, list[Upsampler]]:
    """By name, the operators of each place where features grow, from the coarsest grid to the finest."""
    found: dict[str, list[Upsampler]] = {}
    if net.decoder is not None:
        for name, level in zip(level_names(net.encoder.depth), net.decoder.levels, strict=True):
            found[name] = [level.upsampler]  # pyright: ignore[reportArgumentType]
    if len(net.tail.upsamplers):
        found["the tail"] = list(net.tail.upsamplers)  # pyright: ignore[reportArgumentType]
    return found


def taps(operators: list[Upsampler]) -> list[int | None]:
    """LR taps per output phase of each operator; None where one doesn't know, or looks at everything."""
    return [operator.support_size for operator in operators]


def _distance(counts: list[int | None], asked: list[int | None]) -> int:
    return sum(abs((count or 0) - (one or 0)) for count, one in zip(counts, asked, strict=True))


def _listed(counts: list[int | None]) -> str:
    """`9`, or `9 and 16` where they differ."""
    return " and ".join("all" if count is None else str(count) for count in dict.fromkeys(counts))


def _setting(model: Mapping[str, Any], path: str) -> Any:
    """The value at a path below `model`; None where there is none."""
    node: Any = model
    for key in path.split(".")[1:]:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
