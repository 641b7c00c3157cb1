"""Which of its uses evaluate.py is asked for. This module imports nothing that takes time: a slip is told at once."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

_NEEDED = {"output": "input", "weights": "checkpoint", "ensemble": "checkpoint", "tile": "checkpoint"}
"""Settings of evaluate.py -> the one without which they would have no effect."""


def asked_use(config: Mapping[str, Any], uses: Collection[str], given: Collection[str] = ()) -> str:
    """The one of the uses that is set.

    given: the settings of the command line.

    Raises ValueError where no use is set, or several, where a checkpoint isn't there, and where a setting that is
    given has no effect on the use.
    """
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
    for name, needed in _NEEDED.items():
        if name in given and config[name] is not None and config[needed] is None:
            raise ValueError(
                f"{name}={config[name]} has no effect without {needed}=; give {needed}=, or leave {name} out"
            )
    if "scale" in given and asked[0] not in ("checkpoint", "baseline"):
        raise ValueError(f"scale={config['scale']} has no effect on {asked[0]}=; leave scale out")
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
