"""Where the project lies, and what tests look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"

Compose = Callable[..., DictConfig]
"""compose("model=edsr", "scale=3", command="train"): the config of a command, as Hydra composes it."""


def state(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds."""
    return torch.load(path, weights_only=True)


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, at every depth."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """TensorBoard's scalars by tag, (step, value) in the order of the event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told: dict[str, list[tuple[int, float]]] = {}
    for events in sorted(folder.glob("events*")):
        reader = EventAccumulator(str(events)).Reload()
        for tag in reader.Tags()["scalars"]:
            told.setdefault(tag, []).extend((event.step, event.value) for event in reader.Scalars(tag))
    return told
