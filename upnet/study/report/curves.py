"""Validation PSNR over the steps of training, averaged over the seeds of an arm."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upnet.study.finished_runs import Arm
from upnet.training.history import HISTORY, read_history


@dataclass(frozen=True)
class Curve:
    """Validation PSNR in dB over steps; all arrays are (K,). low and high are the extremes over seeds."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int


def mean_curve(arm: Arm, dataset: str) -> Curve | None:
    """The curve of an arm at the steps at which all of its runs were validated; None if there is no such step."""
    curves = [psnr_by_step for run in arm.runs if (psnr_by_step := validation_psnr(run.folder, dataset))]
    steps = sorted(set(curves[0]).intersection(*curves[1:])) if curves else []
    if not steps:
        return None
    values = np.array([[psnr_by_step[step] for step in steps] for psnr_by_step in curves])
    return Curve(np.array(steps), values.mean(0), values.min(0), values.max(0), len(curves))


def validation_psnr(run: Path, dataset: str) -> Mapping[int, float]:
    """Step -> validation PSNR in dB of a run, from its history.jsonl; in older folders, from TensorBoard's files.

    PSNRs that are not finite are left out.
    """
    name = f"{dataset}/psnr"
    if (run / HISTORY).is_file():
        points = [(step, values[name]) for step, values in read_history(run) if name in values]
    else:
        points = _tensorboard_scalars(run / "tensorboard", name)
    return {step: psnr for step, psnr in points if np.isfinite(psnr)}


def _tensorboard_scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    """The step and value of every point of a scalar; where a run was resumed, the later file counts."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not any(folder.glob("events.out.tfevents.*")):
        return []
    logging.getLogger("tensorboard").setLevel(logging.WARNING)  # the reader logs its progress at level INFO
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1, "tensors": 1}).Reload()
    scalars = reader.Scalars(name) if name in reader.Tags()["scalars"] else []
    return [(event.step, float(event.value)) for event in scalars]
