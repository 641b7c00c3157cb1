"""Compare two runs bit by bit. benchmarks/reliability/kills.py uses it too."""

import json
from pathlib import Path
from typing import Any

import torch

TIMED = ("train/images_per_second", "train/data_share")
"""Scalars that are measured times: their values differ between any two runs, but not their steps."""


def differing_parts(first: Path, second: Path) -> list[str]:
    """The parts in which the results of two runs differ."""
    runs = (first, second)
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "upnet")
    last = [torch.load(run / "checkpoints/last.ckpt", "cpu", weights_only=True) for run in runs]
    differences = [f"last.ckpt: {part}" for part in parts if not same(last[0][part], last[1][part])]
    best = [torch.load(run / "checkpoints/best.ckpt", "cpu", weights_only=True) for run in runs]
    if best[0]["global_step"] != best[1]["global_step"] or not same(best[0]["state_dict"], best[1]["state_dict"]):
        differences.append("best.ckpt")
    results = [json.loads((run / "results.json").read_text(encoding="utf-8")) for run in runs]
    parts = ("datasets", "raw", "step")
    differences += [f"results.json: {part}" for part in parts if results[0][part] != results[1][part]]
    differences += ["history.jsonl"] if _history(first) != _history(second) else []
    logs = [_tensorboard_points(run / "tensorboard") for run in runs]
    differences += [f"TensorBoard: {tag}" for tag in {**logs[0], **logs[1]} if logs[0].get(tag) != logs[1].get(tag)]
    return differences


def same(first: Any, second: Any) -> bool:
    """Whether two nested structures of tensors and plain values are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


def _tensorboard_points(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Step and value of every scalar and image in a TensorBoard log, by tag; None for measured times."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0}).Reload()
    points: dict[str, list[tuple[int, Any]]] = {}
    for tag in reader.Tags()["scalars"]:
        points[tag] = [(event.step, None if tag in TIMED else event.value) for event in reader.Scalars(tag)]
    for tag in reader.Tags()["images"]:
        points[tag] = [(event.step, event.encoded_image_string) for event in reader.Images(tag)]
    return points


def _history(run: Path) -> list[tuple[int, dict[str, float]]]:
    """The lines of history.jsonl, without measured times."""
    from upnet.training.history import read_history

    return [
        (step, {name: value for name, value in values.items() if name not in TIMED})
        for step, values in read_history(run)
    ]
