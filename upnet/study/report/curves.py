"""What TensorBoard was told during training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upnet.study.run_table import Arm


@dataclass(frozen=True)
class Curve:
    """Validation PSNR in dB over steps; all arrays are (K,). low and high are the extremes over seeds."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int


def curve(arm: Arm, dataset: str) -> Curve | None:
    """Of one arm, at the steps that all of its runs were validated at; None where there are none."""
    told = [one for run in arm.runs if (one := validation(run.folder / "tensorboard", dataset))]
    if not told:
        return None
    steps = sorted(set(told[0]).intersection(*told[1:]))
    if not steps:
        return None
    values = np.array([[one[step] for step in steps] for one in told])
    return Curve(np.array(steps), values.mean(0), values.min(0), values.max(0), len(told))


def validation(folder: Path, dataset: str) -> Mapping[int, float]:
    """PSNR by step, from all event files of a run; where a run was resumed, the later file counts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[int, float] = {}
    tag = f"{dataset}/psnr"
    for path in _events(folder):
        reader = EventAccumulator(str(path), size_guidance={"scalars": 0, "images": 1, "tensors": 1}).Reload()
        if tag in reader.Tags()["scalars"]:
            found |= {event.step: float(event.value) for event in reader.Scalars(tag) if np.isfinite(event.value)}
    return found


def _events(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("events.out.tfevents.*"))
