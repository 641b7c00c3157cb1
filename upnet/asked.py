"""Which of its uses evaluate.py is asked for. This module imports nothing that takes time: a slip is told at once."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any


def asked_use(config: Mapping[str, Any], uses: Collection[str]) -> str:
    """The one of the uses that is set. Raises ValueError where none is, or several, or a checkpoint isn't there."""
    asked = [use for use in uses if config[use] is not None]
    if len(asked) != 1:
        raise ValueError(
            "give either checkpoint=PATH, to score it or upscale by it, study=FOLDER, results=PATH or baseline=NAME; "
            f"got {' and '.join(asked) or 'none of them'}"
        )
    if config["input"] is not None and asked != ["checkpoint"]:
        told = f"{asked[0]}={config[asked[0]]}"
        raise ValueError(f"input={config['input']} is upscaled by checkpoint=PATH, not by {told}")
    if config["export"] is not None and (asked != ["checkpoint"] or config["input"] is not None):
        told = "input=" if config["input"] is not None else f"{asked[0]}="
        raise ValueError(f"export={config['export']} writes the network of checkpoint=PATH, and doesn't go with {told}")
    if asked == ["checkpoint"]:
        for path in listed(config["checkpoint"]):
            refuse_missing(Path(path))
    return asked[0]


def listed(value: Any) -> list[str]:
    """A setting that is one name, a list of them, or null. Whatever else it is, the check of the config refuses."""
    if value is None or isinstance(value, Mapping):
        return []
    return [str(one) for one in value] if isinstance(value, Sequence) and not isinstance(value, str) else [str(value)]


def refuse_missing(checkpoint: Path) -> None:
    """Raise ValueError where there is no such file."""
    if not checkpoint.is_file():
        raise ValueError(f"there is no checkpoint at {checkpoint}; a run writes checkpoints/last.ckpt and best.ckpt")
