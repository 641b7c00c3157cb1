"""Growth of memory and other resources in a long process: `python benchmarks/soak.py [--minutes 60]`. For Linux.

One process repeats a round: it trains a network with validations, checkpoints and TensorBoard, loads the checkpoint,
upscales images of varying sizes, evaluates the network, and opens stores, which every tenth round decodes again.
Networks, operators, worker processes, tiles and image modes alternate. After every round a `Sample` of memory, threads,
open files, mapped regions, child processes and Python objects is taken.

The growth per hour of each quantity is the slope of a regression line with its 95 % interval (Student's t). The first
fifth of the time is left out as warm-up, and the rest is divided into 20 segments of equal size, whose means are nearly
independent, unlike single rounds. Time is wall-clock time.
"""

import argparse
import contextlib
import ctypes
import gc
import io
import itertools
import json
import logging
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import open_dict
from PIL import Image
from scipy import stats

import upnet
from upnet.config import check
from upnet.config.schema import TrainSettings
from upnet.data import Folder, build_store
from upnet.evaluation.scoring import evaluate_network
from upnet.inference.upscaler import Upscaler
from upnet.metrics import EvaluationProtocol
from upnet.training import train
from upnet.utils.allocator import malloc_trim

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

# The networks alternate. Seven is coprime to the lengths of the other cycles, so that all combinations occur.
NETWORKS = (
    ["model=unet", "model/upsampler=transposed", "model.encoder.width=8"],
    ["model=segnet", "model.encoder.width=8"],
    ["model=edsr", "model.encoder.width=16", "model.block.blocks=2", "data.workers=1"],
    ["model=unet", "model/upsampler=bicubic", "model.encoder.width=8", "trainer.accumulate_grad_batches=2"],
    ["model=espcn", "scale=3"],
    ["model=unet", "model/upsampler=carafe", "model.encoder.width=8"],
    ["model=fsrcnn", "precision=32"],
)
SEGMENTS, WARM_UP = 20, 0.2
"""Number of segments, and fraction of the time that is left out as warm-up."""


@dataclass(frozen=True)
class Sample:
    """The resources of the process after a round.

    seconds:      since the start.
    memory:       resident anonymous memory in MiB.
    after_trim:   the same in MiB after free heap was returned to the operating system.
    mapped_files: resident memory of mapped files in MiB, mostly the code of libraries.
    heap:         size of the C library's heap in MiB, without blocks that it maps separately.
    allocated:    allocated part of the heap in MiB.
    """

    seconds: float
    memory: float
    after_trim: float
    mapped_files: float
    heap: float
    allocated: float
    threads: int
    files: int
    regions: int
    children: int
    objects: int


@dataclass(frozen=True)
class Growth:
    """The growth of one quantity.

    first, last: its means in the first and the last segment.
    slope:       per hour; None for fewer than three segments.
    low, high:   the 95 % interval of the slope.
    """

    first: float
    last: float
    slope: float | None = None
    low: float | None = None
    high: float | None = None


def sample(seconds: float) -> Sample:
    """Sample this process. The garbage collector is not run before: objects that it has not collected count."""
    process, status = Path("/proc/self"), _status()
    heap, allocated = _mallinfo().arena / 2**20, handed_out()
    malloc_trim()
    children = [Path(task, "children").read_text().split() for task in process.glob("task/*")]
    return Sample(
        seconds,
        memory=status["RssAnon"] / 1024,
        after_trim=_status()["RssAnon"] / 1024,
        mapped_files=status["RssFile"] / 1024,
        heap=heap,
        allocated=allocated,
        threads=status["Threads"],
        files=len(os.listdir(process / "fd")),
        regions=(process / "maps").read_text().count("\n"),
        children=sum(map(len, children)),
        objects=len(gc.get_objects()),
    )


def _status() -> dict[str, int]:
    """The numbers in /proc/self/status by name; memory in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    words = {name: text.split() for name, _, text in (line.partition(":") for line in lines)}
    return {name: int(values[0]) for name, values in words.items() if values and values[0].isdigit()}


def handed_out() -> float:
    """Allocated heap memory of the C library in MiB. https://man7.org/linux/man-pages/man3/mallinfo.3.html"""
    return _mallinfo().uordblks / 2**20


def _mallinfo() -> "_MallInfo":
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _MallInfo
    return mallinfo2()


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")]
    _fields_ += [(name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def paint(folder: Path, count: int, side: int, rng: np.random.Generator) -> None:
    """Write images of smooth noise, `side` to 2·`side` pixels wide and high, all different."""
    folder.mkdir(parents=True)
    for number in range(count):
        width, height = (int(rng.integers(side, 2 * side)) for _ in "wh")
        noise = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        noise.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{folder.name}{number}.png")


def configured(root: Path, number: int, steps: int) -> TrainSettings:
    """The settings of the training of a round."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(
            "train",
            [
                "data=folder",
                f"data.root={root / 'train'}",
                f"data.val_root={root / 'validation'}",
                "data.patch=16",
                "data.batch_size=8",
                f"seed={number}",
                f"steps={steps}",
                "validations=4",
                *NETWORKS[number % len(NETWORKS)],
            ],
        )
    with open_dict(config):
        config.run_dir = str(root / "run")
    return check(config, TrainSettings)


def upscale(checkpoint: Path, number: int, rng: np.random.Generator) -> Upscaler:
    """Upscale an image of every mode, each with a random size. Returns the model."""
    model = upnet.load(checkpoint, tile=("auto", 64)[number % 2], ensemble=("none", "none", "x8")[number % 3])
    for mode in ("RGB", "L", "RGBA", "P", "1", "CMYK", "LA", "I;16"):
        width, height = (int(rng.integers(1, 160)) for _ in "wh")
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        if mode == "I;16":
            image = Image.fromarray(rng.integers(0, 2**16, (height, width), dtype=np.uint16))
        output = model.upscale(image if mode == "I;16" else image.convert(mode))
        assert output.size == (model.scale * width, model.scale * height), (mode, image.size, output.size)
    model.upscale(torch.rand(3, 50 + number % 31, 40 + number % 37))
    model.upscale(rng.random((30 + number % 41, 60, 3)))
    return model


def run_round(root: Path, number: int, steps: int) -> None:
    """One round. Errors are not caught: the benchmark has no result if a round fails."""
    rng = np.random.default_rng(number)
    train(configured(root, number, steps))
    model = upscale(root / "run/checkpoints/last.ckpt", number, rng)
    if number % 10 == 9:
        for folder in ("train", "validation"):
            shutil.rmtree(root / folder / ".upnet")
    stores = {
        name: build_store(Folder(str(root / name)), model.scale)
        for name in ("train", "validation", "validation", "train")
    }
    all_scores = evaluate_network(
        model.net, {"validation": stores["validation"]}, EvaluationProtocol(), tile=model.tile
    )
    assert all(np.isfinite(mean.psnr) for scores in all_scores for mean in scores.means())
    shutil.rmtree(root / "run")


def rounds(minutes: float, steps: int) -> Iterator[Sample]:
    """Run rounds until the time is up, at least one, and yield a sample after each."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        root, rng = Path(temporary), np.random.default_rng(0)
        paint(root / "train", 6, 96, rng)
        paint(root / "validation", 3, 64, rng)
        for number in itertools.count():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                run_round(root, number, steps)
            seconds = time.monotonic() - start
            yield sample(seconds)
            if seconds > 60 * minutes:
                return


def growth(samples: Sequence[Sample], name: str) -> Growth:
    """The growth of one field of the samples after the warm-up; see the head of this module."""
    counted = [sample for sample in samples if sample.seconds >= WARM_UP * samples[-1].seconds]
    indices = np.array_split(range(len(counted)), min(SEGMENTS, len(counted)))
    segments = [[counted[i] for i in segment] for segment in indices]
    means = [statistics.fmean(getattr(sample, name) for sample in segment) for segment in segments]
    if len(segments) < 3:
        return Growth(means[0], means[-1])
    if len(set(means)) == 1:
        return Growth(means[0], means[-1], 0.0, 0.0, 0.0)
    hours = [statistics.fmean(sample.seconds for sample in segment) / 3600 for segment in segments]
    line: Any = stats.linregress(hours, means)
    slope, half_width = float(line.slope), float(stats.t.ppf(0.975, len(segments) - 2) * line.stderr)
    return Growth(means[0], means[-1], slope, slope - half_width, slope + half_width)


def print_growth(samples: Sequence[Sample], cpu_seconds: float) -> dict[str, Growth]:
    """Print the table, and return its rows by field."""
    last = samples[-1].seconds
    print(
        f"\n{len(samples)} rounds in {last / 60:.1f} minutes of wall time, {cpu_seconds / 60:.1f} of CPU time; "
        f"torch {torch.__version__} with {torch.get_num_threads()} threads; warm-up: {last * WARM_UP / 60:.1f} minutes"
    )
    print(f"{'':12}{'first':>12}{'last':>12}{'per hour':>12}   95 % interval")
    rows = {name: growth(samples, name) for name in asdict(samples[0]) if name != "seconds"}
    for name, row in rows.items():
        slope = "" if row.slope is None else f"{row.slope:+12.2f}   {row.low:+.2f} to {row.high:+.2f}"
        print(f"{name:12}{row.first:12.1f}{row.last:12.1f}{slope}")
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="wall-clock time; the last round is completed")
    parser.add_argument("--steps", type=int, default=60, help="steps of every training")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write samples and growth to this file")
    options = parser.parse_args(arguments)
    if platform.libc_ver()[0] != "glibc":
        raise SystemExit("soak.py needs /proc and the GNU C library, which only Linux has")
    logging.getLogger("upnet").setLevel(logging.WARNING)
    samples: list[Sample] = []
    for latest in rounds(options.minutes, options.steps):
        samples.append(latest)
        print(
            f"{latest.seconds / 60:6.1f} min  memory {latest.memory:7.1f} MiB, after trim {latest.after_trim:7.1f}  "
            f"heap {latest.heap:6.1f} MiB, allocated {latest.allocated:6.1f}  {latest.threads} threads  "
            f"{latest.files} files  {latest.regions} regions  {latest.children} children  {latest.objects} objects",
            flush=True,
        )
        if options.json:
            content: dict[str, Any] = {"samples": [asdict(sample) for sample in samples]}
            options.json.write_text(json.dumps(content) + "\n", encoding="utf-8")
    rows = print_growth(samples, time.process_time())
    if options.json:
        machine = {"processor": platform.processor() or platform.machine(), "torch": str(torch.__version__)}
        content = {
            "command": " ".join(sys.argv),
            "machine": machine,
            "rounds": len(samples),
            "processor_seconds": time.process_time(),
            "growth": {name: asdict(row) for name, row in rows.items()},
            "samples": [asdict(sample) for sample in samples],
        }
        options.json.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
