"""Whether a process that works for an hour grows: `python benchmarks/soak.py [--minutes 60] [--json FILE]`. Linux.

One process goes round and round: it trains a network with validations, checkpoints and TensorBoard, opens the
checkpoint and upscales pictures of ever other sizes, scores the network, and opens stores again, every tenth time
decoding them anew. Networks, operators, worker processes, tiles and kinds of pictures take turns. After every round it
notes its resident memory, its own apart from the pages of files, which the kernel takes and brings back as it likes,
and what is left of it once what lies free is given back; what the C library holds and what of it it has handed out;
threads, open files, mapped regions, child processes and the objects that Python knows of.

The slope of each is a straight line through the means of twenty stretches of equal length, after the first fifth of the
time has been left out as warming up, with its 95 % interval (Student's t); means of stretches depend little on each
other, where single rounds would. Time is that of the clock, so that an hour during which the process was stopped does
less work.
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

# What takes turns in training; seven, so that they meet the other cycles in every combination.
NETWORKS = (
    ["model=unet", "model/upsampler=transposed", "model.encoder.width=8"],
    ["model=segnet", "model.encoder.width=8"],
    ["model=edsr", "model.encoder.width=16", "model.block.blocks=2", "data.workers=1"],
    ["model=unet", "model/upsampler=bicubic", "model.encoder.width=8", "trainer.accumulate_grad_batches=2"],
    ["model=espcn", "scale=3"],
    ["model=unet", "model/upsampler=carafe", "model.encoder.width=8"],
    ["model=fsrcnn", "precision=32"],
)
STRETCHES, WARMING = 20, 0.2


@dataclass(frozen=True)
class Sample:
    """The process after a round.

    seconds: since the start.
    memory:  resident, in MiB, without files.
    kept:    the same after what lies free in the heap was given back: what the next round finds there.
    paged:   of files, mostly the code of libraries, in MiB.
    heap:    what the C library holds, in MiB, without what was mapped past it.
    handed:  what of the heap it has handed out, in MiB.
    """

    seconds: float
    memory: float
    kept: float
    paged: float
    heap: float
    handed: float
    threads: int
    files: int
    regions: int
    children: int
    objects: int


@dataclass(frozen=True)
class Growth:
    """Of one figure: its mean in the first and the last stretch, and its slope per hour with the interval's ends.

    Of less than three stretches there is no slope.
    """

    first: float
    last: float
    slope: float | None = None
    low: float | None = None
    high: float | None = None


def sample(seconds: float) -> Sample:
    """Look at this process. Nothing is collected before: what the garbage collector leaves lying counts."""
    own, status = Path("/proc/self"), _status()
    heap, handed = _asked().arena / 2**20, handed_out()
    malloc_trim()
    children = [Path(task, "children").read_text().split() for task in own.glob("task/*")]
    return Sample(
        seconds,
        memory=status["RssAnon"] / 1024,
        kept=_status()["RssAnon"] / 1024,
        paged=status["RssFile"] / 1024,
        heap=heap,
        handed=handed,
        threads=status["Threads"],
        files=len(os.listdir(own / "fd")),
        regions=(own / "maps").read_text().count("\n"),
        children=sum(map(len, children)),
        objects=len(gc.get_objects()),
    )


def _status() -> dict[str, int]:
    """What the kernel tells of this process in numbers; memory in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    words = {name: told.split() for name, _, told in (line.partition(":") for line in lines)}
    return {name: int(told[0]) for name, told in words.items() if told and told[0].isdigit()}


def handed_out() -> float:
    """What the C library has handed out, in MiB. Source: https://man7.org/linux/man-pages/man3/mallinfo.3.html"""
    return _asked().uordblks / 2**20


def _asked() -> "_Told":
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Told
    return ask()


class _Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")]
    _fields_ += [(name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def paint(folder: Path, count: int, side: int, rng: np.random.Generator) -> None:
    """Pictures of smooth noise, about `side` wide; no two alike."""
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
    """Upscale a picture of every kind, each of a size of its own."""
    model = upnet.load(checkpoint, tile=("auto", 64)[number % 2], ensemble=("none", "none", "x8")[number % 3])
    for mode in ("RGB", "L", "RGBA", "P", "1", "CMYK", "LA", "I;16"):
        width, height = (int(rng.integers(1, 160)) for _ in "wh")
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        if mode == "I;16":
            picture = Image.fromarray(rng.integers(0, 2**16, (height, width), dtype=np.uint16))
        larger = model.upscale(picture if mode == "I;16" else picture.convert(mode))
        assert larger.size == (model.scale * width, model.scale * height), (mode, picture.size, larger.size)
    model.upscale(torch.rand(3, 50 + number % 31, 40 + number % 37))
    model.upscale(rng.random((30 + number % 41, 60, 3)))
    return model


def work(root: Path, number: int, steps: int) -> None:
    """One round. Raises what goes wrong in it: a soak whose work fails has measured nothing."""
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
    tallies = list(
        evaluate_network(model.net, {"validation": stores["validation"]}, EvaluationProtocol(), tile=model.tile)
    )
    assert all(np.isfinite(mean.psnr) for tally in tallies for mean in tally.means())
    shutil.rmtree(root / "run")


def rounds(minutes: float, steps: int) -> Iterator[Sample]:
    """Work until the time is up, at least one round; the process after each of them."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        root, rng = Path(temporary), np.random.default_rng(0)
        paint(root / "train", 6, 96, rng)
        paint(root / "validation", 3, 64, rng)
        for number in itertools.count():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                work(root, number, steps)
            seconds = time.monotonic() - start
            yield sample(seconds)
            if seconds > 60 * minutes:
                return


def growth(samples: Sequence[Sample], name: str) -> Growth:
    """Of one figure after the warming up; see above."""
    kept = [one for one in samples if one.seconds >= WARMING * samples[-1].seconds]
    parts = [[kept[i] for i in part] for part in np.array_split(range(len(kept)), min(STRETCHES, len(kept)))]
    values = [statistics.fmean(getattr(one, name) for one in part) for part in parts]
    if len(parts) < 3:
        return Growth(values[0], values[-1])
    if len(set(values)) == 1:
        return Growth(values[0], values[-1], 0.0, 0.0, 0.0)
    line: Any = stats.linregress([statistics.fmean(one.seconds for one in part) / 3600 for part in parts], values)
    slope, reach = float(line.slope), float(stats.t.ppf(0.975, len(parts) - 2) * line.stderr)
    return Growth(values[0], values[-1], slope, slope - reach, slope + reach)


def tell(samples: Sequence[Sample], own: float) -> dict[str, Growth]:
    """Print the table; its rows come back."""
    last = samples[-1].seconds
    print(
        f"\n{len(samples)} rounds in {last / 60:.1f} minutes of the clock, {own / 60:.1f} of processor time; "
        f"{torch.get_num_threads()} threads of torch {torch.__version__}; warming up: {last * WARMING / 60:.1f} minutes"
    )
    print(f"{'':10}{'at first':>12}{'at last':>12}{'per hour':>12}   95 % interval")
    rows = {name: growth(samples, name) for name in asdict(samples[0]) if name != "seconds"}
    for name, row in rows.items():
        slope = "" if row.slope is None else f"{row.slope:+12.2f}   {row.low:+.2f} to {row.high:+.2f}"
        print(f"{name:10}{row.first:12.1f}{row.last:12.1f}{slope}")
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="of the clock; a round that has begun is finished")
    parser.add_argument("--steps", type=int, default=60, help="of every training")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where figures and samples go, after every round")
    given = parser.parse_args(arguments)
    if platform.libc_ver()[0] != "glibc":
        raise SystemExit("soak.py reads /proc and asks the GNU C library, which only Linux has")
    logging.getLogger("upnet").setLevel(logging.WARNING)
    samples: list[Sample] = []
    for one in rounds(given.minutes, given.steps):
        samples.append(one)
        print(
            f"{one.seconds / 60:6.1f} min  {one.memory:7.1f} MiB, {one.kept:7.1f} kept  heap {one.heap:6.1f} MiB, "
            f"handed out {one.handed:6.1f}  {one.threads} threads  {one.files} files  "
            f"{one.regions} regions  {one.children} children  {one.objects} objects",
            flush=True,
        )
        if given.json:
            given.json.write_text(json.dumps({"samples": [asdict(one) for one in samples]}) + "\n", encoding="utf-8")
    rows = tell(samples, time.process_time())
    if given.json:
        machine = {"processor": platform.processor() or platform.machine(), "torch": str(torch.__version__)}
        told = {"command": " ".join(sys.argv), "machine": machine, "rounds": len(samples)}
        told["processor_seconds"] = time.process_time()
        told["growth"] = {name: asdict(row) for name, row in rows.items()}
        told["samples"] = [asdict(one) for one in samples]
        given.json.write_text(json.dumps(told) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
