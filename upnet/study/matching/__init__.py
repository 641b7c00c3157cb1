"""Matching an arm to the reference arm, so that the two differ in nothing but the operator.

`size` equalises the numbers of parameters or multiply-adds, `support` the numbers of LR taps.
"""

from collections.abc import Mapping
from typing import Any

from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds, parameters
from upnet.study.design import MatchMode
from upnet.study.matching.base import Changes, UnmatchedError, VariantBuilder
from upnet.study.matching.size import match_size
from upnet.study.matching.support import match_support, taps_by_location, upsamplers_by_location

__all__ = ["Changes", "UnmatchedError", "VariantBuilder", "match_variant", "taps_by_location", "upsamplers_by_location"]


def match_variant(
    mode: MatchMode, build_variant: VariantBuilder, model: Mapping[str, Any], reference: EncoderDecoder
) -> Changes:
    """The changes that make a variant comparable with the reference; empty for the mode "none".

    mode:          see `upnet.study.design.MATCH_MODES`.
    build_variant: builds the network of the variant with changes.
    model:         the variant's model config as plain data, which determines what can be changed.
    reference:     the network of the reference arm at the same levels of all factors.

    Raises UnmatchedError where no changes are sufficient.

    >>> from upnet.config import build
    >>> from upnet.config.compose import compose_training, plain_mapping, with_values
    >>> config = compose_training(["model=espcn", "model/upsampler=transposed", "model.upsampler.kernel_size=4"])
    >>> reference = build(compose_training(["model=espcn"]).model)
    >>> match_variant("support", lambda changes: build(with_values(config, changes).model),
    ...               plain_mapping(config.model), reference)
    {'model.upsampler.kernel_size': 6}
    """
    if mode == "none":
        return {}
    if mode == "support":
        return match_support(build_variant, model, reference)
    count, unit = (parameters, "parameters") if mode == "params" else (multiply_adds, "multiply-adds")
    return match_size(build_variant, model, count, unit, count(reference))
