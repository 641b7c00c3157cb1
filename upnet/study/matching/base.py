"""Types that the match modes share: changes of settings, the builder of a variant, and the error."""

from collections.abc import Callable, Mapping
from typing import Any

from upnet.models import EncoderDecoder
from upnet.utils.errors import UserError

Changes = dict[str, Any]
"""Path of a setting, such as "model.encoder.width" -> the value that matching gives it."""

VariantBuilder = Callable[[Mapping[str, Any]], EncoderDecoder]
"""Builds the network of a variant with such changes. Raises UserError where it can't be built."""


class UnmatchedError(UserError):
    """No values of an arm's settings match it to the reference. The message contains the nearest values."""
