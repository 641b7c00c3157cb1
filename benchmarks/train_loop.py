"""Training steps per second of `upnet train`: eager, as a CUDA graph, and as a compiled CUDA graph.

    python benchmarks/train_loop.py [--device cuda] [--json FILE]

EDSR-baseline and the default U-Net are trained on dead leaves with everything that `upnet train` does between two
steps: Lightning's loop, progress bar, TensorBoard, EMA, gradient norm, the check for non-finite losses. A batch has 16
crops of 48 × 48 LR pixels at ×2; a GPU trains in bf16. The result is the median of the speeds that the training logs
every 50 steps, without the first two. The variants of a model alternate, `--rounds` times.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from upnet.config import check
from upnet.config.schema import TrainSettings
from upnet.training import train

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
BATCH = 16
VARIANTS = {
    "eager": ["graph=false"],
    "graph": ["graph=true"],
    "graph, compile": ["graph=true", "compile=true"],
}
STEPS = {
    ("unet", "eager"): 700,
    ("unet", "graph"): 2500,
    ("unet", "graph, compile"): 2500,
    ("edsr", "eager"): 500,
    ("edsr", "graph"): 1200,
    ("edsr", "graph, compile"): 1200,
}


def measure(model: str, variant: str, device: str, smoke: bool) -> dict[str, Any]:
    """One training: steps per second, the fraction of the time spent waiting for batches, and peak memory."""
    overrides = [f"model={model}", "data.patch=48", f"data.batch_size={BATCH}", "validations=1", *VARIANTS[variant]]
    overrides += [f"steps={STEPS[model, variant]}", f"trainer={'gpu' if device == 'cuda' else 'cpu'}"]
    if smoke:
        overrides += ["data.patch=8", "model.encoder.width=4", "steps=8", "trainer.log_every_n_steps=1", "graph=auto"]
        overrides += ["data.train.count=2", "data.train.size=64"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", overrides)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        with open_dict(config):
            config.run_dir = f"{folder}/run"
            config.data.cache_dir = f"{folder}/cache"
        settings = check(config, TrainSettings)
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        train(settings)
        reader = EventAccumulator(f"{folder}/run/tensorboard").Reload()
        rates = [event.value / BATCH for event in reader.Scalars("train/images_per_second")][2:]
        shares = [event.value for event in reader.Scalars("train/data_share")][2:]
    row = {
        "steps_per_second": statistics.median(rates),
        "slowest": min(rates),
        "fastest": max(rates),
        "share_waiting_for_data": statistics.median(shares),
        "seconds": time.perf_counter() - start,
    }
    return row | ({"peak_MiB": torch.cuda.max_memory_allocated() / 2**20} if device == "cuda" else {})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file, after each row")
    parser.add_argument("--rounds", type=int, default=2, help="number of trainings of each variant")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to check that everything runs")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no NVIDIA GPU; use --device cpu --smoke")
    rows: list[dict[str, Any]] = []
    variants = [name for name in VARIANTS if options.device == "cuda" or name == "eager"]
    for model in ("unet",) if options.smoke else ("unet", "edsr"):
        for number in range(1 if options.smoke else options.rounds):
            for variant in variants:
                rows.append({"model": model, "variant": variant, "round": number})
                try:
                    rows[-1] |= measure(model, variant, options.device, options.smoke)
                except Exception as error:  # errors of compilers and drivers have any type; the row states them
                    rows[-1]["error"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                print(rows[-1], flush=True)
                if options.json:
                    options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
