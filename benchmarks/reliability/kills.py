"""Kill trainings at random times and resume them: `python benchmarks/reliability/kills.py [--points 20]`.

For each setting, fp32 and bf16 with 0 and 2 workers, one reference run of train.py is not interrupted. The other runs
are killed by SIGKILL: at a random time, during a random validation, or while a random checkpoint is written. They are
resumed, and must end bit-identical to the reference run: weights, averaged weights, optimizer and scheduler state, best
checkpoint, results, and every scalar and image in TensorBoard, without a gap or a duplicate. The exit code is 1 if a
run differs.

--device gpu runs with trainer.deterministic=true, without which a GPU is not reproducible to the last bit. For Linux
and macOS: the runs are forked, so that they need no time for imports.
"""

import argparse
import importlib
import itertools
import json
import multiprocessing
import os
import random
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # for comparison.py
FORK = multiprocessing.get_context("fork")
SETTINGS = list(itertools.product(("32", "bf16"), (0, 2)))
"""Precision and number of workers."""
KINDS = ("at any time", "in a validation", "in a checkpoint")
"""When a run is killed. A kind is identified by its index."""


@dataclass
class Point:
    """One killed and resumed run.

    kind:      when it was to be killed.
    died:      what was interrupted.
    saved:     the step of the last checkpoint at that time.
    differing: in what it differs from the reference run; empty if it is bit-identical.
    """

    precision: str
    workers: int
    kind: str
    died: str
    saved: int
    differing: list[str]


class Progress:
    """The current activity of a run in another process, in shared memory. Activities are indices of KINDS.

    now:     the current activity.
    counts:  how often each activity was started.
    seconds: total duration of each activity.
    """

    def __init__(self) -> None:
        self.now = multiprocessing.Value("i", 0, lock=False)
        self.counts = multiprocessing.Array("i", len(KINDS), lock=False)
        self.seconds = multiprocessing.Array("d", len(KINDS), lock=False)

    def watch(self) -> None:
        """Wrap functions of upnet, in the process of the run, so that they record the activity."""
        from upnet.training.callbacks import AtomicCheckpointIO, Scalars
        from upnet.training.task import Task

        Scalars.on_train_batch_end = self._recorded(0, Scalars.on_train_batch_end)
        Task.validation_step = self._recorded(1, Task.validation_step)
        AtomicCheckpointIO.save_checkpoint = self._recorded(2, AtomicCheckpointIO.save_checkpoint)

    def _recorded(self, kind: int, function: Callable[..., Any]) -> Any:
        """The same function, which records that it runs."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before, start = self.now.value, time.perf_counter()
            self.now.value = kind
            self.counts[kind] += 1
            try:
                return function(*args, **kwargs)
            finally:
                self.now.value = before
                self.seconds[kind] += time.perf_counter() - start

        return wrapper


class Runs:
    """The runs of one setting, in folders below `folder`. The reference run is trained first, in `reference`."""

    def __init__(self, folder: Path, precision: str, workers: int, steps: int, device: str) -> None:
        self.folder = folder
        self.overrides = [
            "data=folder", f"data.root={folder.parent}/train", f"data.val_root={folder.parent}/validation",
            "data.patch=8", "data.batch_size=4", "model.encoder.width=4", "trainer.log_every_n_steps=1",
            "callbacks.progress=null", "callbacks.checkpoints.minutes=0.005", f"steps={steps}", "validations=4",
            "scheduler.warmup=2", f"precision={precision}", f"data.workers={workers}",
            f"trainer={device}", f"trainer.deterministic={device == 'gpu'}",
        ]  # fmt: skip
        folder.mkdir()
        start = time.perf_counter()
        self.progress = Progress()
        assert _exit_code(self.start("reference", self.progress)) == 0, (folder / "reference.txt").read_text()
        self.seconds = time.perf_counter() - start

    def start(self, name: str, progress: Progress) -> BaseProcess:
        """Start a run, or resume it if it has a checkpoint."""
        run = self.folder / name
        last = run / "checkpoints/last.ckpt"
        overrides = [*self.overrides, f"hydra.run.dir={run}", *([f"ckpt={last}"] if last.is_file() else [])]
        return _fork(overrides, self.folder / f"{name}.txt", progress)

    def kill(self, name: str, kind: int, rng: random.Random) -> str | None:
        """Start a run, kill it at a random time, and return what was interrupted; None if it ended before."""
        progress = Progress()
        count = rng.randint(1, self.progress.counts[kind])
        mean = self.progress.seconds[kind] / self.progress.counts[kind]
        delay = rng.uniform(0, mean if kind else self.seconds)
        process = self.start(name, progress)
        while kind and process.is_alive() and (progress.now.value != kind or progress.counts[kind] < count):
            time.sleep(0.0002)
        process.join(delay)
        process.kill()
        code = _exit_code(process)
        if code != -signal.SIGKILL:
            assert code == 0, (self.folder / f"{name}.txt").read_text()
            return None
        activity = KINDS[progress.now.value] if progress.now.value else "in training"
        return f"{activity}, {progress.counts[0]} steps"


def _fork(overrides: Sequence[str], output: Path, progress: Progress) -> BaseProcess:
    """`python train.py OVERRIDES` in a forked process, whose output is appended to a file."""

    def run() -> None:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["train.py", *overrides]
        # torch recreates its thread pool at the first use after a fork, which fails if several threads do so at once.
        torch = importlib.import_module("torch")
        torch.set_num_threads(torch.get_num_threads())
        progress.watch()
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")

    process = FORK.Process(target=run)
    process.start()
    return process


def _exit_code(process: BaseProcess) -> int | None:
    """Wait for the exit code. join() without a time limit would also wait for the workers of a killed process."""
    while process.exitcode is None:
        process.join(0.01)
    return process.exitcode


def paint(folder: Path) -> None:
    """Write four training images and two validation images."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("validation", 2)):
        (folder / part).mkdir()
        for number in range(count):
            noise = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            noise.resize((128, 112), Image.Resampling.BICUBIC).save(folder / part / f"{part}{number}.png")


def points(folder: Path, count: int, steps: int, seed: int, device: str) -> list[Point]:
    """Kill and resume `count` runs, distributed evenly over the settings and kinds."""
    from comparison import differing_parts

    rng = random.Random(seed)
    paint(folder)
    runs_by_setting: dict[tuple[str, int], Runs] = {}
    results: list[Point] = []
    offset = rng.randrange(len(SETTINGS))
    while len(results) < count:
        precision, workers = setting = SETTINGS[(len(results) + offset) % len(SETTINGS)]
        kind = (len(results) + len(results) // len(SETTINGS)) % len(KINDS)
        if setting not in runs_by_setting:
            runs_by_setting[setting] = Runs(folder / f"{precision}-{workers}", precision, workers, steps, device)
        runs, name = runs_by_setting[setting], f"run{len(results)}-{rng.randrange(10**6)}"
        died = runs.kill(name, kind, rng)
        if died is None:
            continue
        last = runs.folder / name / "checkpoints/last.ckpt"
        saved = _step(last) if last.is_file() else 0
        assert _exit_code(runs.start(name, Progress())) == 0, (runs.folder / f"{name}.txt").read_text()
        differences = differing_parts(runs.folder / "reference", runs.folder / name)
        results.append(Point(precision, workers, KINDS[kind], died, saved, differences))
        print(
            f"{len(results):3} precision={precision:4} workers={workers} killed {KINDS[kind]:15} ({died}), "
            f"step {saved:2} saved: {'DIFFERENT: ' + ', '.join(differences) if differences else 'equal'}",
            flush=True,
        )
    return results


def _step(path: Path) -> int:
    from upnet.checkpoint import read

    return int(read(path)["upnet"]["step"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20, help="number of killed runs (default: 20)")
    parser.add_argument("--steps", type=int, default=60, help="steps of every run (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random times (default: 0)")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # a process that has initialised CUDA can't be forked
    import torch

    torch.set_num_threads(1)  # a process that is forked after torch has started threads can't train
    importlib.import_module("upnet.training")  # imported once, before the forks

    with tempfile.TemporaryDirectory() as temporary:
        results = points(Path(temporary), options.points, options.steps, options.seed, options.device)
    equal = sum(not point.differing for point in results)
    print(f"\n{equal} of {len(results)} resumed runs are bit-identical to the uninterrupted run")
    if options.json:
        options.json.write_text(json.dumps([vars(point) for point in results], indent=2) + "\n", encoding="utf-8")
    return 0 if equal == len(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
