"""Migration of a checkpoint's metadata from older formats to the current one.

| format | what changed |
|---|---|
| 1 | config, scale, step and versions; the first files contain the raw weights twice, later ones also `settings` |
| 2 | the weights once; `settings`, the training settings, always; empty where a file of format 1 has none |
| 3 | renamed components, settings and values, see RENAMED_TARGETS; the levels of a decoder, `decoder.levels.0`, are |
|   | numbered from the finest grid as those of an encoder, and no longer from the coarsest |

`ckpt=` resumes from a checkpoint through Lightning, which reads the file itself: `Task.on_load_checkpoint` migrates the
weights there. Optimizer states are stored by the order of the parameters, which no step may change.

A new format needs a step here and, in `tests/checkpoint/stored`, a checkpoint written by `upnet train`, with an input
and the network's output for it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from upnet.checkpoint.errors import CheckpointError
from upnet.utils.provenance import VERSION

Metadata = dict[str, Any]
State = dict[str, Tensor]

RENAMED_TARGETS: Mapping[str, str] = {
    "upnet.encoders.Plain": "upnet.encoders.MaxPoolEncoder",
    "upnet.encoders.Strided": "upnet.encoders.StridedConvEncoder",
    "upnet.encoders.Chain": "upnet.encoders.ConvStack",
    "upnet.blocks.Conv": "upnet.blocks.ConvBlock",
    "upnet.blocks.Residual": "upnet.blocks.ResidualBlock",
}
"""Old `_target_` -> new one. `upnet.encoders.Old` also stands for `upnet.encoders.module.Old`."""

RENAMED_SETTINGS: Mapping[tuple[str, str], str] = {
    ("upnet.data.DeadLeaves", "slender"): "min_aspect",
    ("upnet.data.DeadLeaves", "large"): "min_detail_radius",
    ("upnet.models.Tail", "straight"): "project_in_upsampler",
    ("upnet.models.Tail", "steps"): "upsampling",
}
"""(owner, old setting) -> new setting. The owner is the component's new `_target_`; for settings outside a component it
is their path in the checkpoint, such as "settings.data"."""

RENAMED_VALUES: Mapping[tuple[str, str], Mapping[Any, Any]] = {
    ("upnet.models.Tail", "upsampling"): {"primes": "progressive", "single": "single_step"},
}
"""(owner, new setting) -> {old value: new value}."""

_MAX_DEPTH = 20
"""Configs that are nested deeper are rejected by `upnet.config.check_targets`; they are not renamed."""


def rename_config(config: Any, path: str = "") -> Any:
    """A copy of a config, or of a part of one, in which renamed components, settings and values have their new names.

    config: plain data: mappings, lists and values. It is not changed.
    path:   its path in the checkpoint: "model" or "settings".
    """
    return _rename(config, path, 0, {})


def _rename(node: Any, path: str, depth: int, copies: dict[int, Any]) -> Any:
    if not isinstance(node, dict | list) or depth > _MAX_DEPTH:
        return node
    # A malicious file may contain one node many times, or a node inside itself.
    if id(node) in copies:
        return copies[id(node)]
    if isinstance(node, list):
        items: list[Any] = []
        copies[id(node)] = items
        items += [_rename(item, path, depth + 1, copies) for item in node]
        return items
    renamed: dict[Any, Any] = {}
    copies[id(node)] = renamed
    target = _new_target(node.get("_target_"))
    owner = target if isinstance(target, str) else path
    for key, value in node.items():
        name = RENAMED_SETTINGS.get((owner, key), key)
        value = target if key == "_target_" else _rename(value, f"{path}.{name}", depth + 1, copies)
        if isinstance(value, str | int | float | None):
            value = RENAMED_VALUES.get((owner, name), {}).get(value, value)
        renamed[name] = value
    return renamed


def _new_target(target: Any) -> Any:
    if not isinstance(target, str) or not target.startswith("upnet."):
        return target
    package, name = target.split(".")[1], target.rpartition(".")[2]
    return RENAMED_TARGETS.get(target) or RENAMED_TARGETS.get(f"upnet.{package}.{name}", target)


_LEVEL = re.compile(r"(?P<before>(?:ema\.)?net\.decoder\.levels\.)(?P<level>\d{1,2})(?P<after>\..*)", re.DOTALL)


def _remove_duplicates_add_settings(metadata: Metadata, state: State) -> None:
    for name in [name for name in state if str(name).startswith("_forward.")]:
        del state[name]
    metadata.setdefault("settings", {})


def _rename_components_and_levels(metadata: Metadata, state: State) -> None:
    for part in ("model", "settings"):
        if part in metadata:
            metadata[part] = rename_config(metadata[part], part)
    matches = {name: _LEVEL.fullmatch(name) for name in state if isinstance(name, str)}
    coarsest = max((int(match["level"]) for match in matches.values() if match), default=0)
    weights = list(state.items())  # their order stays the same
    state.clear()
    for name, tensor in weights:
        if match := matches.get(name):
            name = f"{match['before']}{coarsest - int(match['level'])}{match['after']}"
        state[name] = tensor


STEPS: Mapping[int, Callable[[Metadata, State], None]] = {
    1: _remove_duplicates_add_settings,
    2: _rename_components_and_levels,
}
"""Format -> the step that changes metadata and weights, in place, to the next format."""

FORMAT = len(STEPS) + 1
"""The current format. It increases by one whenever the metadata of a checkpoint changes."""


def migrate(metadata: Mapping[Any, Any], state: Mapping[Any, Any]) -> tuple[Metadata, State]:
    """The metadata and the weights of a checkpoint in the current format; the arguments are not changed.

    Raises CheckpointError for a format that this version doesn't know. Its message is to follow the path of the file.

    >>> metadata, state = migrate({"format": 1, "model": {"_target_": "upnet.encoders.Plain"}}, {})
    >>> metadata["model"], metadata["settings"]
    ({'_target_': 'upnet.encoders.MaxPoolEncoder'}, {})
    """
    file_format = metadata.get("format")
    if type(file_format) is not int or file_format < 1:
        raise CheckpointError(f"has no checkpoint format; upnet {VERSION} reads formats 1 to {FORMAT}")
    if file_format > FORMAT:
        raise CheckpointError(
            f"has checkpoint format {_short(file_format)}, and upnet {VERSION} reads formats 1 to {FORMAT}",
            cure=f"Install a newer upnet{_written_by(metadata)}",
        )
    current, weights = dict(metadata), dict(state)
    for older in range(file_format, FORMAT):
        STEPS[older](current, weights)
        current["format"] = older + 1
    return current, weights


def _short(number: int) -> str:
    return str(number) if number < 10**9 else "of more than nine digits"


def _written_by(metadata: Mapping[Any, Any]) -> str:
    versions = metadata.get("versions")
    version = versions.get("upnet") if isinstance(versions, dict) else None
    safe = isinstance(version, str) and len(version) < 30 and version.isascii() and version.isprintable()
    return f": it was written by {version}" if safe else ""
