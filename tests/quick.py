"""Steps of a command that take longer than what a test is about, computed once and kept."""

from collections.abc import Sequence
from functools import cache
from typing import Any, BinaryIO

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from upnet.config.compose import Config, compose_training, with_values
from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds
from upnet.utils.overrides import quote_path_overrides
from upnet.utils.paths import CONFIGS

_composed: dict[tuple[str, ...], Config] = {}
_counts: dict[str, int] = {}


def compose_training_quickly(overrides: Sequence[str]) -> Config:
    """`compose_training`, but each choice of components is composed once, and plain values are set in a copy of it.

    Interpolations, nested values, other targets and unknown settings are left to Hydra.
    """
    if any("_target_" in word for word in overrides):
        return compose_training(overrides)
    chosen = tuple(word for word in overrides if word[0] in "+~" or (CONFIGS / word.partition("=")[0]).is_dir())
    if chosen not in _composed:
        _composed[chosen] = compose_training(chosen)
    values: dict[str, Any] = {}
    for word in quote_path_overrides([word for word in overrides if word not in chosen]):
        path, value = _plain_value(word)
        if path is None or not _has(_composed[chosen], path):
            return compose_training(overrides)
        values[path] = value
    return with_values(_composed[chosen], values)


def multiply_adds_once(net: EncoderDecoder, *output: tuple[int, int]) -> int:
    """`multiply_adds`, which counts equal networks once."""
    key = f"{net!r} {net.scale} {net.channels} {output}"
    if key not in _counts:
        _counts[key] = multiply_adds(net, *output)
    return _counts[key]


def draw_no_comparison(net: EncoderDecoder, sets: Any, content: Any, file: BinaryIO) -> None:
    """`draw_comparison`, which takes longer than a small training, with an empty file as the image."""
    file.write(b"")


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _plain_value(word: str) -> tuple[str | None, Any]:
    """The path and the value of an override that sets numbers, text without interpolation, or null."""
    if "$" in word:
        return None, None
    override = _parser().parse_override(word)
    value = override.value()
    items = value if isinstance(value, list) else [value]
    plain = all(item is None or isinstance(item, bool | int | float | str) for item in items)
    return (override.key_or_group, value) if plain and not override.is_sweep_override() else (None, None)


def _has(config: DictConfig, path: str) -> bool:
    """Whether a config has a setting at a path."""
    node: Any = config
    for key in path.split("."):
        if not isinstance(node, DictConfig) or key not in node or OmegaConf.is_interpolation(node, key):
            return False
        node = node[key]
    return True
