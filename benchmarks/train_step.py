"""What a step of a real training costs beside a bare loop over the same network: `python benchmarks/train_step.py`.

The real training is upnet's own, by its own command's parts, with everything a user has on: Lightning, progress bar,
TensorBoard, averaged weights, batches cut from the store on disk. The bare loops are forward, backward, optimizer and
averaging on one fixed batch: in the machine's best precision and memory format, and in float32 with the default one.
After every block of real steps each bare loop makes a block of its own, so that a disturbance hits them all. The time
of a step is the median over the blocks, and so is that of each part of it.

The loop in the best format has all that upnet can offer, the C library told to keep large blocks of memory included
(`upnet.utils.allocator`). The one in float32 is what one writes without upnet: in a process of its own,
whose memory is managed as it always is. `--kept` lets it keep large blocks as well.
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
from upnet.training import runner as run
from upnet.training import trainer as parts
from upnet.training.ema import EMA
from upnet.training.task import Task
from upnet.utils.allocator import retain_malloc_blocks
from upnet.utils.device import lightning_precision

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

# Batch 16 of 48×48 LR, ×2. The small one is EDSR cut to 4 blocks of width 32.
NETWORKS: dict[str, tuple[list[str], int]] = {
    "edsr": (["model=edsr"], 4),
    "small": (["model=edsr", "model.encoder.width=32", "model.block.blocks=4"], 20),
}


def paint(folder: Path, count: int = 8, side: int = 320, seed: int = 0) -> None:
    """Pictures to train on, of noise with a photograph's spectrum."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1 / side
    for number in range(count):
        planes = [np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / frequency, (side, side)) for _ in "rgb"]
        picture = np.stack(planes, axis=-1)
        grey = (128 + 50 * picture / picture.std()).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")


class Bare:
    """Forward, backward, optimizer and averaging on a fixed batch."""

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
        self.device, self.bf16, self.done = device, bf16, 0
        self.update: Callable[[], Any] = self.optimizer.step

    def run(self, steps: int) -> float:
        """Seconds that so many steps take."""
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
        self.done += 1
        self.ema.update(self.net, self.done)


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


class Apart:
    """The bare loop in float32 and the default memory format, in a process of its own."""

    def __init__(self, config: DictConfig, device: torch.device, kept: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=serve, args=(there, config, device, kept), daemon=True)
        self._process.start()

    def run(self, steps: int) -> float:
        """Seconds that so many steps take there."""
        self._here.send(steps)
        return self._here.recv()

    def end(self) -> None:
        """Let it go."""
        self._here.send(None)
        self._process.join()


def serve(pipe: Any, config: DictConfig, device: torch.device, kept: bool) -> None:
    """Make the steps that are asked for, until None is."""
    if kept:
        retain_malloc_blocks()
    bare = Bare(config, device, bf16=False, channels_last=False)
    while (steps := pipe.recv()) is not None:
        pipe.send(bare.run(steps))


@dataclass
class Blocks(pl.Callback):
    """Time blocks of real steps; after each of them, a block of every bare loop.

    steps: of a block; seconds: per step, by loop, a value per block.
    """

    bare: dict[str, Bare | Apart]
    steps: int
    device: torch.device
    seconds: dict[str, list[float]] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)
    _since: float = 0.0
    _blocks: int = 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % self.steps:
            return
        synchronise(self.device)
        self._keep("real", time.perf_counter() - self._since, ("data", "conversion", "logging", "averaging"))
        for name, bare in self.bare.items():
            self._keep(name, bare.run(self.steps), ("optimizer",) if name == "bare_best" else ())
        self._blocks += 1
        self._since = time.perf_counter()

    def _keep(self, loop: str, seconds: float, parts: Sequence[str]) -> None:
        """Note a block that just ended, and its parts; the first one warms up."""
        found = {loop: seconds, **{part: self.parts.get(part, 0.0) for part in parts}}
        self.parts.clear()
        for name, seconds in found.items():
            if self._blocks:
                self.seconds.setdefault(name, []).append(seconds / self.steps)


def timed(parts: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose time is added up under a name."""

    def run(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = function(*given, **named)
        parts[name] = parts.get(name, 0.0) + time.perf_counter() - start
        return result

    return run


def measure(overrides: list[str], block: int, blocks: int, folder: Path, smoke: bool, kept: bool) -> dict[str, Any]:
    """Seconds per step of the real training and of the bare loops, and the overheads in it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        pictures, validation = folder / "pictures", folder / "validation"
        config = compose(
            "train",
            [
                *overrides,
                "data=folder",
                f"data.root={pictures}",
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
    best, plain = Bare(config, device, bf16, True), Apart(config, device, kept)
    watch = Blocks({"bare_best": best, "bare_fp32_nchw": plain}, block, device)
    best.update = timed(watch.parts, "optimizer", best.update)

    def trainer(given: TrainSettings, resume_step: int | None = None) -> pl.Trainer:
        built = parts.build_trainer(given, resume_step)
        built.callbacks.append(watch)  # pyright: ignore[reportAttributeAccessIssue]
        return built

    with (
        patch.object(run, "build_trainer", trainer),
        patch.object(EMA, "update", timed(watch.parts, "averaging", EMA.update)),
        patch.object(CropDataset, "__getitem__", timed(watch.parts, "data", CropDataset.__getitem__)),
        patch.object(Task, "_to_network_images", timed(watch.parts, "conversion", Task._to_network_images)),
        patch.object(TensorBoardLogger, "log_metrics", timed(watch.parts, "logging", TensorBoardLogger.log_metrics)),
    ):
        run.train(settings)
    plain.end()
    found: dict[str, Any] = {name: statistics.median(values) for name, values in watch.seconds.items()}
    told = {name: found.pop(name) for name in ("data", "conversion", "logging", "averaging", "optimizer")}
    # Averaging and the optimizer are in the bare loop as well.
    beside = told["data"] + told["conversion"] + told["logging"]
    told["lightning_and_the_rest"] = found["real"] - found["bare_best"] - beside
    return {**found, "precision": "bf16" if bf16 else "float32", "parts": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures go, in seconds per step")
    parser.add_argument("--blocks", type=int, default=8, help="how many blocks the median is over")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="which of the two")
    parser.add_argument("--kept", action="store_true", help="let the float32 loop keep large blocks of memory as well")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it runs")
    arguments = parser.parse_args()
    told: dict[str, Any] = {}
    for name in arguments.networks:
        overrides, block = NETWORKS[name]
        if arguments.smoke:
            overrides, block = [*overrides, "model.encoder.width=8", "model.block.blocks=1"], 2
        with tempfile.TemporaryDirectory() as folder:
            paint(Path(folder) / "pictures", side=64 if arguments.smoke else 320)
            paint(Path(folder) / "validation", count=1, side=64, seed=1)
            told[name] = measure(overrides, block, arguments.blocks, Path(folder), arguments.smoke, arguments.kept)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    print(f"\n{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, ms per step")
    for name, found in told.items():
        real, best, plain = found["real"], found["bare_best"], found["bare_fp32_nchw"]
        print(
            f"{name:6} real {1000 * real:8.2f}   bare {found['precision']} channels_last {1000 * best:8.2f}   "
            f"bare float32 NCHW {1000 * plain:8.2f}   real / bare {real / best:.3f}   real / NCHW {real / plain:.3f}"
        )
        print("       " + ", ".join(f"{part} {1000 * seconds:.2f}" for part, seconds in found["parts"].items()))
    if arguments.json:
        told["machine"] = {
            "device": device,
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "command": " ".join(sys.argv),
        }
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
