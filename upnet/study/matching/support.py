"""Matching by support: kernel sizes are chosen, so that operators have the reference's number of LR taps per phase."""

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

from upnet.models import EncoderDecoder
from upnet.models.decoder import level_name
from upnet.study.matching.base import Changes, UnmatchedError, VariantBuilder
from upnet.upsample import Upsampler
from upnet.utils.errors import UserError

Taps = list[int | None]
"""The LR taps per output phase of operators; None where the number is unknown or all LR pixels contribute."""


def match_support(build_variant: VariantBuilder, model: Mapping[str, Any], reference: EncoderDecoder) -> Changes:
    """The kernel sizes with which every operator has as many LR taps per output phase as the reference.

    build_variant: builds the network of the variant with changes.
    model:         the variant's model config as plain data.
    reference:     the network of the reference arm.

    Where several sizes have the same number of taps, the largest is taken. For a reference that is a sub-pixel
    convolution of size k, this gives a transposed convolution the size k·s, and a convolution after nearest-neighbour
    interpolation the size (k − 1)·s + 1, which spans k input pixels.

    Raises UnmatchedError with the nearest number of taps.
    """
    reference_taps = taps_by_location(reference)
    operators = upsamplers_by_location(build_variant({}))
    if {name: len(group) for name, group in operators.items()} != {
        name: len(taps) for name, taps in reference_taps.items()
    }:
        raise UnmatchedError(
            f"it upsamples at {', '.join(operators) or 'no location'} and the reference at "
            f"{', '.join(reference_taps) or 'no location'}; the support can't be matched"
        )
    nodes = model["upsampler"]
    if not isinstance(nodes, list):
        return _match_kernel(build_variant, "model.upsampler", operators, reference_taps)
    changes: Changes = {}
    for number, (location, group) in enumerate(operators.items()):
        path = f"model.upsampler[{number}]"
        changes |= _match_kernel(build_variant, path, {location: group}, {location: reference_taps[location]})
    return changes


def upsamplers_by_location(net: EncoderDecoder) -> dict[str, list[Upsampler]]:
    """The operators at each location where features are upsampled, from the coarsest grid to the finest."""
    operators: dict[str, list[Upsampler]] = {}
    if net.decoder is not None:
        for level, decoder_level in net.decoder.by_level().items():
            operators[level_name(level)] = [decoder_level.upsampler]
    if len(net.tail.upsamplers):
        operators["the tail"] = list(net.tail.upsamplers)  # pyright: ignore[reportArgumentType]
    return operators


def taps_by_location(net: EncoderDecoder) -> dict[str, Taps]:
    """The LR taps per output phase of the operators at each location.

    >>> import upnet
    >>> taps_by_location(upnet.create_model("espcn", scale=2, upsampler="bilinear"))
    {'the tail': [16]}
    """
    return {
        location: [operator.support_size for operator in operators]
        for location, operators in upsamplers_by_location(net).items()
    }


def _match_kernel(
    build_variant: VariantBuilder,
    path: str,
    operators: Mapping[str, Sequence[Upsampler]],
    reference_taps: Mapping[str, Taps],
) -> Changes:
    """The change of the kernel size at `path`, the config of the operators at some locations.

    reference_taps: the reference's LR taps at the same locations.
    """
    affected = [operator for group in operators.values() for operator in group]
    current = [operator.support_size for operator in affected]
    target = [count for counts in reference_taps.values() for count in counts]
    if None in target:
        raise UnmatchedError("the reference uses all LR pixels, or doesn't declare its number of LR taps")
    if current == target:
        return {}
    name = type(affected[0]).__name__
    if affected[0].support_argument is None:
        raise UnmatchedError(
            f"{name} has {_format_counts(current)} LR taps per output phase, the reference {_format_counts(target)}, "
            "and it has no kernel size to change"
        )
    argument, smallest = affected[0].support_argument
    # A kernel of this many output pixels covers one input pixel more per axis than the reference does.
    largest = max(
        (isqrt(count or 0) + 1) * int(operator.scale) for count, operator in zip(target, affected, strict=True)
    )
    taps_by_size: dict[int, Taps] = {}
    for size in range(smallest, largest + 1):
        try:
            changed = taps_by_location(build_variant({f"{path}.{argument}": size}))
        except UserError:
            continue  # a size that the operator rejects, such as an even one
        taps_by_size[size] = [count for location in operators for count in changed[location]]
    matching = [size for size, taps in taps_by_size.items() if taps == target]
    if not matching:
        size = min(taps_by_size, key=lambda size: _distance(taps_by_size[size], target), default=None)
        nearest = current if size is None else taps_by_size[size]
        setting = "" if size is None else f", with {argument}={size}"
        raise UnmatchedError(
            f"no {argument} gives {name} the reference's {_format_counts(target)} LR taps per output phase; "
            f"the nearest possible is {_format_counts(nearest)}{setting}"
        )
    return {f"{path}.{argument}": max(matching)}


def _distance(taps: Taps, target: Taps) -> int:
    """The sum of the absolute differences between numbers of taps."""
    return sum(abs((count or 0) - (wanted or 0)) for count, wanted in zip(taps, target, strict=True))


def _format_counts(taps: Taps) -> str:
    """`9`, or `9 and 16` where they differ.

    >>> _format_counts([9, 16, 9]), _format_counts([None])
    ('9 and 16', 'all')
    """
    return " and ".join("all" if count is None else str(count) for count in dict.fromkeys(taps))
