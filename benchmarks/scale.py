"""Time and memory as functions of the number of images: `python benchmarks/scale.py [--json FILE]`. For Linux.

The images are noise, in folders of 10, 100, 1 000 and 10 000; every folder has a new process. The columns are:

decode_s, MiB_decoding  decoding of all images into the store
open_s, MiB_opening     opening of the store
batch_ms, MiB_cutting   cropping of a batch of 16 crops
score_s, MiB_scoring    evaluation of nearest and bicubic interpolation on all images

MiB is the peak anonymous memory of the process, sampled 100 times per second. Pages of the memory-mapped store are not
counted, since the kernel can free them at any time. Time per image should be constant for decoding and evaluation, and
the time of a batch and the memory should hardly depend on the number of images.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 96


def paint(folder: Path, count: int) -> None:
    """Write images of noise, all different."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number:05}.png")


class PeakMemory(threading.Thread):
    """Samples the anonymous memory of this process, 100 times per second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._peak = 0.0
        self.start()

    def run(self) -> None:
        """Sample for ever."""
        while True:
            self._peak = max(self._peak, self._current())
            time.sleep(0.01)

    def reset(self) -> float:
        """The peak in MiB since the last reset; starts a new measurement."""
        peak, self._peak = max(self._peak, self._current()), 0.0
        return peak

    @staticmethod
    def _current() -> float:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        values = dict(line.split(":", 1) for line in status.splitlines())
        return int(values["RssAnon"].split()[0]) / 1024


def measure(folder: Path, cache: Path) -> dict[str, float]:
    """The row of a folder."""
    import torch

    from upnet.data import CropSampler, Folder, build_store
    from upnet.evaluation.scoring import baseline_method, evaluate_method
    from upnet.metrics import EvaluationProtocol

    memory = PeakMemory()
    row = {"MiB_at_start": memory.reset()}
    start = time.perf_counter()
    build_store(Folder(str(folder)), 2, str(cache))
    row["decode_s"], row["MiB_decoding"] = time.perf_counter() - start, memory.reset()
    start = time.perf_counter()
    store = build_store(Folder(str(folder)), 2, str(cache))
    row["open_s"], row["MiB_opening"] = time.perf_counter() - start, memory.reset()
    sampler = CropSampler(store, 24, 16, 0, 2)
    times = []
    for step in range(200):
        start = time.perf_counter()
        sampler.batch(step)
        times.append(time.perf_counter() - start)
    row["batch_ms"], row["MiB_cutting"] = 1000 * statistics.median(times), memory.reset()
    start = time.perf_counter()
    list(evaluate_method(baseline_method("nearest", 2), 2, torch.device("cpu"), {"noise": store}, EvaluationProtocol()))
    row["score_s"], row["MiB_scoring"] = time.perf_counter() - start, memory.reset()
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000, 10_000], help="numbers of images")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    options = parser.parse_args(arguments)
    rows: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for count in options.counts:
            folder = Path(temporary) / f"images{count}"
            paint(folder, count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows[count] = pool.apply(measure, (folder, Path(temporary) / "cache"))
            if count == options.counts[0]:
                print("images   " + " ".join(f"{name:>12}" for name in rows[count]))
            print(f"{count:8} " + " ".join(f"{value:12.3f}" for value in rows[count].values()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
