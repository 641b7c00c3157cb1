"""Time of a training step of upnet, relative to a bare loop over the same network.

    python benchmarks/train_step.py [--networks edsr] [--json FILE]

The real training is that of `upnet train` with its default options: Lightning, progress bar, TensorBoard, EMA, and
batches cropped from the store on disk. The bare loops run forward, backward, optimizer and EMA on one fixed batch: one
in the best precision and memory format of the machine, the other in float32 and the default memory format (NCHW).
Blocks of real steps and blocks of each bare loop alternate, so that other load slows all of them equally. The time
of a step and of each of its parts is the median over the blocks.

The loop in the best format runs with upnet's memory allocator settings (`upnet.utils.allocator`). The float32 loop is
what one writes without upnet: it runs in a separate process with the default allocator settings. --keep-memory gives it
upnet's settings as well.
"""

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn

from upnet.config import build, check
from upnet.config.schema import TrainSettings
from upnet.data.datasets import CropDataset
from upnet.training import runner
from upnet.training import trainer as trainer_module
from upnet.training.ema import EMA
from upnet.training.task import Task
from upnet.utils.allocator import retain_malloc_blocks
from upnet.utils.device import lightning_precision

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

# Overrides, and steps per block. Batches of 16 crops of 48×48 LR pixels, ×2. "small" is EDSR with 4 blocks of width 32.
NETWORKS: dict[str, tuple[list[str], int]] = {
    "edsr": (["model=edsr"], 4),
    "small": (["model=edsr", "model.encoder.width=32", "model.block.blocks=4"], 20),
}


def paint(folder: Path, count: int = 8, side: int = 320, seed: int = 0) -> None:
    """Write images of noise with the 1/f spectrum of photographs."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1 / side
    for number in range(count):
        planes = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / frequency, (side, side)) for _ in "rgb"]
        image = np.stack(planes, axis=-1)
        pixels = (128 + 50 * image / image.std()).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


class BareLoop:
    """Forward, backward, optimizer and EMA on a fixed batch."""

    def __init__(self, config: DictConfig, device: torch.device, bf16: bool, channels_last: bool) -> None:
        layout = torch.channels_last if channels_last else torch.contiguous_format
        torch.manual_seed(0)
        self.net: nn.Module = build(config.model).to(device).to(memory_format=layout)
        self.ema = EMA(self.net, 0.999)
        self.optimizer = build(config.optimizer)(self.net.parameters())
        self.loss = build(config.loss)
        side, batch = config.data.patch, config.data.batch_size
        lr, hr = torch.rand(batch, 3, side, side), torch.rand(batch, 3, side * config.scale, side * config.scale)
        self.lr, self.hr = (x.to(device).to(memory_format=layout) for x in (lr, hr))
        self.device, self.bf16, self.steps_done = device, bf16, 0
        self.update: Callable[[], Any] = self.optimizer.step

    def run(self, steps: int) -> float:
        """Run a number of steps, and return the seconds that they take."""
        start = time.perf_counter()
        for _ in range(steps):
            self.step()
        synchronise(self.device)
        return time.perf_counter() - start

    def step(self) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.loss(self.net(self.lr), self.hr)
        self.optimizer.zero_grad()
        loss.backward()
        self.update()
        self.steps_done += 1
        self.ema.update(self.net, self.steps_done)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


class SeparateLoop:
    """A BareLoop in float32 and the default memory format, in a separate process."""

    def __init__(self, config: DictConfig, device: torch.device, keep_memory: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, child_pipe = context.Pipe()
        arguments = (child_pipe, config, device, keep_memory)
        self._process = context.Process(target=serve_loop, args=arguments, daemon=True)
        self._process.start()

    def run(self, steps: int) -> float:
        """Run a number of steps in the process, and return the seconds that they take there."""
        self._pipe.send(steps)
        return self._pipe.recv()

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def serve_loop(pipe: Any, config: DictConfig, device: torch.device, keep_memory: bool) -> None:
    """The child process: for every number of steps received, run them and send the seconds; None ends it."""
    if keep_memory:
        retain_malloc_blocks()
    loop = BareLoop(config, device, bf16=False, channels_last=False)
    while (steps := pipe.recv()) is not None:
        pipe.send(loop.run(steps))


@dataclass
class BlockTimer(pl.Callback):
    """Time blocks of real training steps, and after each of them a block of every bare loop.

    loops:   the bare loops by name.
    steps:   number of steps per block.
    seconds: seconds per step by loop or part, with a value per block. The first block is a warm-up and is left out.
    parts:   seconds by part since the last block; `timed` adds to them.
    """

    loops: dict[str, BareLoop | SeparateLoop]
    steps: int
    device: torch.device
    seconds: dict[str, list[float]] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    _start: float = 0.0
    _blocks: int = 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % self.steps:
            return
        synchronise(self.device)
        self._record("real", time.perf_counter() - self._start, ("data", "conversion", "logging", "averaging"))
        for name, loop in self.loops.items():
            self._record(name, loop.run(self.steps), ("optimizer",) if name == "bare_best" else ())
        self._blocks += 1
        self._start = time.perf_counter()

    def _record(self, loop: str, seconds: float, parts: Sequence[str]) -> None:
        """Record the seconds of a block and of its parts."""
        totals = {loop: seconds, **{part: self.parts.get(part, 0.0) for part in parts}}
        self.parts.clear()
        for name, seconds in totals.items():
            if self._blocks:
                self.seconds.setdefault(name, []).append(seconds / self.steps)


def timed(parts: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which adds its time to parts[name]."""

    def run(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        result = function(*args, **kwargs)
        parts[name] = parts.get(name, 0.0) + time.perf_counter() - start
        return result

    return run


def measure(
    overrides: list[str], block: int, blocks: int, folder: Path, smoke: bool, keep_memory: bool
) -> dict[str, Any]:
    """Seconds per step of the real training and of the bare loops, and of the parts of the real step.

    block: steps per block. folder: contains the folders `images` and `validation`.
    """
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        images, validation = folder / "images", folder / "validation"
        config = compose(
            "train",
            [
                *overrides,
                "data=folder",
                f"data.root={images}",
                f"data.val_root={validation}",
                f"data.patch={8 if smoke else 48}",
                f"steps={block * (blocks + 1)}",
                "validations=1",
                f"trainer.log_every_n_steps={min(block, 10)}",
            ],
        )
    with open_dict(config):
        config.run_dir = str(folder / "run")
    settings = check(config, TrainSettings)
    retain_malloc_blocks()
    accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bf16 = lightning_precision("auto", accelerator) == "bf16-mixed"
    best, float32 = BareLoop(config, device, bf16, True), SeparateLoop(config, device, keep_memory)
    timer = BlockTimer({"bare_best": best, "bare_fp32_nchw": float32}, block, device)
    best.update = timed(timer.parts, "optimizer", best.update)

    def build_timed_trainer(settings: TrainSettings, resume_step: int | None = None) -> pl.Trainer:
        trainer = trainer_module.build_trainer(settings, resume_step)
        trainer.callbacks.append(timer)  # pyright: ignore[reportAttributeAccessIssue]
        return trainer

    with (
        patch.object(runner, "build_trainer", build_timed_trainer),
        patch.object(EMA, "update", timed(timer.parts, "averaging", EMA.update)),
        patch.object(CropDataset, "__getitem__", timed(timer.parts, "data", CropDataset.__getitem__)),
        patch.object(Task, "_to_network_images", timed(timer.parts, "conversion", Task._to_network_images)),
        patch.object(TensorBoardLogger, "log_metrics", timed(timer.parts, "logging", TensorBoardLogger.log_metrics)),
    ):
        runner.train(settings)
    float32.close()
    seconds: dict[str, Any] = {name: statistics.median(values) for name, values in timer.seconds.items()}
    parts = {name: seconds.pop(name) for name in ("data", "conversion", "logging", "averaging", "optimizer")}
    # The bare loop contains EMA and the optimizer as well.
    known_overhead = parts["data"] + parts["conversion"] + parts["logging"]
    parts["lightning_and_the_rest"] = seconds["real"] - seconds["bare_best"] - known_overhead
    return {**seconds, "precision": "bf16" if bf16 else "float32", "parts": parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file, in seconds per step")
    parser.add_argument("--blocks", type=int, default=8, help="number of blocks of which the median is taken")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: both")
    parser.add_argument(
        "--keep-memory", action="store_true", help="run the float32 loop with upnet's allocator settings as well"
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to check that everything runs")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for name in options.networks:
        overrides, block = NETWORKS[name]
        if options.smoke:
            overrides, block = [*overrides, "model.encoder.width=8", "model.block.blocks=1"], 2
        with tempfile.TemporaryDirectory() as folder:
            paint(Path(folder) / "images", side=64 if options.smoke else 320)
            paint(Path(folder) / "validation", count=1, side=64, seed=1)
            results[name] = measure(overrides, block, options.blocks, Path(folder), options.smoke, options.keep_memory)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(f"\n{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, ms per step")
    for name, seconds in results.items():
        real, best, float32 = seconds["real"], seconds["bare_best"], seconds["bare_fp32_nchw"]
        print(
            f"{name:6} real {1000 * real:8.2f}   bare {seconds['precision']} channels_last {1000 * best:8.2f}   "
            f"bare float32 NCHW {1000 * float32:8.2f}   real / bare {real / best:.3f}   "
            f"real / NCHW {real / float32:.3f}"
        )
        print("       " + ", ".join(f"{part} {1000 * value:.2f}" for part, value in seconds["parts"].items()))
    if options.json:
        results["machine"] = {
            "device": device,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "command": " ".join(sys.argv),
        }
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
