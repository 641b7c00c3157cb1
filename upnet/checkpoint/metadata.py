"""The metadata of a checkpoint: its fields, and its validation when a file is read."""

from collections.abc import Mapping
from typing import Any

import torch

from upnet.checkpoint.errors import CheckpointError
from upnet.checkpoint.migration import FORMAT, Metadata, State, migrate
from upnet.utils.errors import format_value
from upnet.utils.provenance import VERSION

_FIELDS: dict[str, type] = {"format": int, "model": dict, "settings": dict, "scale": int, "step": int, "versions": dict}
_TYPE_NAMES = {int: "an integer of at least 0", dict: "a mapping"}
_PREFIXES = ("net.", "ema.net.", "loss.")
"""Prefixes of the weights' names: of the network, of its average, and of a loss with weights."""


def describe(config: Mapping[str, Any], settings: Mapping[str, Any], scale: int, step: int) -> Metadata:
    """The metadata of a checkpoint, as plain data.

    config:   the resolved config of the network.
    settings: the other settings that the result of the training depends on.
    step:     the number of optimizer steps.

    >>> sorted(describe({}, {}, scale=2, step=100))
    ['format', 'model', 'scale', 'settings', 'step', 'versions']
    """
    return {
        "format": FORMAT,
        "model": dict(config),
        "settings": dict(settings),
        "scale": scale,
        "step": step,
        "versions": {"upnet": VERSION, "torch": str(torch.__version__)},
    }


def parse_content(content: object, path: object) -> dict[str, Any]:
    """Check the content of a checkpoint file and migrate it to the current format.

    The result contains `upnet`, the metadata, and `state_dict`, the weights. Raises CheckpointError.
    """
    metadata = content.get("upnet") if isinstance(content, dict) else None
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(metadata, dict) or not isinstance(state, dict):
        raise CheckpointError(
            f"{path} is not a checkpoint of upnet: it contains no metadata of a network and its weights"
        )
    try:
        metadata, state = migrate(metadata, state)
        _check_metadata(metadata)
        _check_names(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error.problem}", cure=error.cure) from error
    return {**content, "upnet": metadata, "state_dict": state}


def _check_metadata(metadata: Metadata) -> None:
    missing = [key for key in _FIELDS if key not in metadata]
    if missing:
        raise CheckpointError(f"is an incomplete checkpoint: its metadata has no {', '.join(missing)}")
    for key, value in metadata.items():
        if key not in _FIELDS:
            raise CheckpointError(f"has the metadata field {_name(key)}, which format {FORMAT} doesn't have")
        kind = _FIELDS[key]
        if type(value) is not kind or (kind is int and not 0 <= value < 2**63):
            raise CheckpointError(f"is an invalid checkpoint: its {key} must be {_TYPE_NAMES[kind]}")


def _check_names(state: State) -> None:
    for name in state:
        if not isinstance(name, str) or not name.startswith(_PREFIXES):
            raise CheckpointError(
                f"contains weights under the name {_name(name)}. Names in a checkpoint of upnet start with "
                f"{', '.join(_PREFIXES)}"
            )


def _name(key: object) -> str:
    return format_value(key) if isinstance(key, str) else f"a {type(key).__name__}"
