"""What a checkpoint says of itself."""

from collections.abc import Mapping
from typing import Any

import torch

from upnet.checkpoint.migration import FORMAT, Metadata, State, migrate
from upnet.config.errors import shown
from upnet.utils.provenance import VERSION

_SAID: dict[str, type] = {"format": int, "model": dict, "settings": dict, "scale": int, "step": int, "versions": dict}
_EXPECTED = {int: "a whole number from 0 on", dict: "a mapping"}
_OURS = ("net.", "ema.net.", "loss.")
"""How the names of a checkpoint's weights begin: the network's, their average's, and those of a loss that has some."""


def describe(config: Mapping[str, Any], settings: Mapping[str, Any], scale: int, step: int) -> dict[str, Any]:
    """What a checkpoint says of itself, as plain data: the network's config, and the settings it is trained under."""
    return {
        "format": FORMAT,
        "model": dict(config),
        "settings": dict(settings),
        "scale": scale,
        "step": step,
        "versions": {"upnet": VERSION, "torch": str(torch.__version__)},
    }


def parse_content(content: object) -> dict[str, Any]:
    """The content of a checkpoint file as today's format has it: `upnet`, what it says of itself, and `state_dict`.

    Raises ValueError, whose message is the rest of a sentence about the file.
    """
    told = content.get("upnet") if isinstance(content, dict) else None
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(told, dict) or not isinstance(state, dict):
        raise ValueError("is no checkpoint of upnet: it doesn't say which network its weights belong to")
    now, weights = migrate(told, state)
    _check_told(now)
    _check_names(weights)
    return {**content, "upnet": now, "state_dict": weights}


def _check_told(told: Metadata) -> None:
    missing = [key for key in _SAID if key not in told]
    if missing:
        raise ValueError(f"is no whole checkpoint: it doesn't say its {', '.join(missing)}")
    for key, value in told.items():
        if key not in _SAID:
            raise ValueError(f"says {_name(key)} of itself, which checkpoint format {FORMAT} doesn't have")
        kind = _SAID[key]
        if type(value) is not kind or (kind is int and not 0 <= value < 2**63):
            raise ValueError(f"is no whole checkpoint: its {key} must be {_EXPECTED[kind]}")


def _check_names(state: State) -> None:
    for name in state:
        if not isinstance(name, str) or not name.startswith(_OURS):
            raise ValueError(
                f"holds weights under the name {_name(name)}, and those of a checkpoint of upnet begin with "
                f"{', '.join(_OURS)}"
            )


def _name(key: object) -> str:
    return shown(key) if isinstance(key, str) else f"a {type(key).__name__}"
