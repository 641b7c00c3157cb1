"""How cost grows with the number of pictures: `python benchmarks/scale.py [--json FILE]`.

For folders of 10, 100, 1 000 and 10 000 pictures of noise, each in a process of its own: seconds to decode them into
the store, seconds to open it again, milliseconds to cut a batch of 16 crops, seconds to score nearest and bicubic on
them, and the most memory of its own that the process had during each, looked at a hundred times a second. Pages of the
mapped store, which the kernel may take back at any time, are none of it. Decoding and scoring should cost the same per
picture, opening and cutting should hardly notice, and memory should stay flat. For Linux.
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
    """Pictures of noise; each differs from all others."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        noise = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number:05}.png")


class Watch(threading.Thread):
    """The most memory of its own, in MiB, that this process had since it was last asked."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._most = 0.0
        self.start()

    def run(self) -> None:
        """Look, again and again."""
        while True:
            self._most = max(self._most, self._now())
            time.sleep(0.01)

    def most(self) -> float:
        """That, and begin anew."""
        found, self._most = max(self._most, self._now()), 0.0
        return found

    @staticmethod
    def _now() -> float:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        kinds = dict(line.split(":", 1) for line in status.splitlines())
        return int(kinds["RssAnon"].split()[0]) / 1024


def measure(folder: Path, cache: Path) -> dict[str, float]:
    """One row of the table."""
    import torch

    from upnet.data import CropSampler, Folder, build_store
    from upnet.evaluation.scoring import baseline_method, evaluate_method
    from upnet.metrics import EvaluationProtocol

    memory = Watch()
    row = {"MiB_at_start": memory.most()}
    start = time.perf_counter()
    build_store(Folder(str(folder)), 2, str(cache))
    row["decode_s"], row["MiB_decoding"] = time.perf_counter() - start, memory.most()
    start = time.perf_counter()
    store = build_store(Folder(str(folder)), 2, str(cache))
    row["open_s"], row["MiB_opening"] = time.perf_counter() - start, memory.most()
    sampler = CropSampler(store, 24, 16, 0, 2)
    times = []
    for step in range(200):
        start = time.perf_counter()
        sampler.batch(step)
        times.append(time.perf_counter() - start)
    row["batch_ms"], row["MiB_cutting"] = 1000 * statistics.median(times), memory.most()
    start = time.perf_counter()
    list(evaluate_method(baseline_method("nearest", 2), 2, torch.device("cpu"), {"noise": store}, EvaluationProtocol()))
    row["score_s"], row["MiB_scoring"] = time.perf_counter() - start, memory.most()
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    given = parser.parse_args(arguments)
    rows: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for count in given.counts:
            folder = Path(temporary) / f"pictures{count}"
            paint(folder, count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows[count] = pool.apply(measure, (folder, Path(temporary) / "cache"))
            if count == given.counts[0]:
                print("pictures " + " ".join(f"{name:>12}" for name in rows[count]))
            print(f"{count:8} " + " ".join(f"{value:12.3f}" for value in rows[count].values()), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
