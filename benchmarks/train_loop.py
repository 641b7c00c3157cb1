"""Steps per second of train.py's own training: launched, recorded as CUDA graphs, and compiled as well.

    python benchmarks/train_loop.py [--device cuda] [--json FILE]

EDSR-baseline and the default U-Net train on dead leaves with all that train.py does between two steps: Lightning's
loop, progress, TensorBoard, EMA, gradient norm, the check for non-finite losses. A batch has 16 crops of 48 × 48 at ×2;
a GPU trains in bf16. A figure is the median of the speeds that the training logs, every 50 steps, after the first two.
The variants of a model take turns, `--rounds` times.
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
    "launched": ["graph=false"],
    "recorded": ["graph=true"],
    "recorded, compiled": ["graph=true", "compile=true"],
}
STEPS = {
    ("unet", "launched"): 700,
    ("unet", "recorded"): 2500,
    ("unet", "recorded, compiled"): 2500,
    ("edsr", "launched"): 500,
    ("edsr", "recorded"): 1200,
    ("edsr", "recorded, compiled"): 1200,
}


def measure(model: str, variant: str, device: str, smoke: bool) -> dict[str, Any]:
    """One training: steps per second, the share of the time that it waited for batches, peak memory."""
    words = [f"model={model}", "data.patch=48", f"data.batch_size={BATCH}", "validations=1", *VARIANTS[variant]]
    words += [f"steps={STEPS[model, variant]}", f"trainer={'gpu' if device == 'cuda' else 'cpu'}"]
    if smoke:
        words += ["data.patch=8", "model.encoder.width=4", "steps=8", "trainer.log_every_n_steps=1", "graph=auto"]
        words += ["data.train.count=2", "data.train.size=64"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", words)
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
    found = {
        "steps_per_second": statistics.median(rates),
        "slowest": min(rates),
        "fastest": max(rates),
        "share_waiting_for_data": statistics.median(shares),
        "seconds": time.perf_counter() - start,
    }
    return found | ({"peak_MiB": torch.cuda.max_memory_allocated() / 2**20} if device == "cuda" else {})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows as well, after each")
    parser.add_argument("--rounds", type=int, default=2, help="how often each variant trains")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that everything runs")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no NVIDIA GPU here; take --device cpu --smoke")
    rows: list[dict[str, Any]] = []
    variants = [name for name in VARIANTS if given.device == "cuda" or name == "launched"]
    for model in ("unet",) if given.smoke else ("unet", "edsr"):
        for turn in range(1 if given.smoke else given.rounds):
            for variant in variants:
                rows.append({"model": model, "variant": variant, "round": turn})
                try:
                    rows[-1] |= measure(model, variant, given.device, given.smoke)
                except Exception as fault:  # whatever a compiler or a driver raises is a result, and costs no other row
                    rows[-1]["refused"] = f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}"
                print(rows[-1], flush=True)
                if given.json:
                    given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
