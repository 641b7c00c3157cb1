"""Formats of a checkpoint, and the way from every older one to today's.

| format | what changed |
|---|---|
| 1 | config, scale, step and versions; the first files hold the raw weights twice, later ones also `settings` |
| 2 | the weights once; `settings`, under which it was trained, always; empty where a file of format 1 doesn't tell |

A checkpoint that is trained on by `ckpt=` is read by Lightning as it lies there: a step that renames weights must also
be taken in `Task.on_load_checkpoint`.

A new format needs a step here and, in `tests/checkpoint/stored`, a checkpoint as `train.py` writes it, with an
input and what that version made of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from upnet.utils.provenance import VERSION

Told = dict[str, Any]
State = dict[str, Tensor]


def _weights_once_and_settings(told: Told, state: State) -> None:
    for name in [name for name in state if str(name).startswith("_forward.")]:
        del state[name]
    told.setdefault("settings", {})


STEPS: Mapping[int, Callable[[Told, State], None]] = {1: _weights_once_and_settings}
"""The format that a step starts from -> what it changes, in place, to arrive at the next one."""

FORMAT = len(STEPS) + 1
"""What is written today; one more whenever what a checkpoint says of itself changes."""


def migrated(told: Mapping[Any, Any], state: Mapping[Any, Any]) -> tuple[Told, State]:
    """What a checkpoint says of itself and its weights, as today's format has them; the arguments stay as they are.

    Raises ValueError for a format that this version doesn't know.
    """
    found = told.get("format")
    if type(found) is not int or found < 1:
        raise ValueError(f"says no checkpoint format; upnet {VERSION} reads formats 1 to {FORMAT}")
    if found > FORMAT:
        raise ValueError(
            f"has checkpoint format {_short(found)}, and upnet {VERSION} reads formats 1 to {FORMAT}; "
            f"install a newer upnet{_writer(told)}"
        )
    now, weights = dict(told), dict(state)
    for older in range(found, FORMAT):
        STEPS[older](now, weights)
        now["format"] = older + 1
    return now, weights


def _short(number: int) -> str:
    return str(number) if number < 10**9 else "of more than nine digits"


def _writer(told: Mapping[Any, Any]) -> str:
    versions = told.get("versions")
    version = versions.get("upnet") if isinstance(versions, dict) else None
    clear = isinstance(version, str) and len(version) < 30 and version.isascii() and version.isprintable()
    return f": it was written by {version}" if clear else ""
