"""Kill trainings at random moments and go on: `python benchmarks/reliability/kills.py [--points 20] [--json FILE]`.

`--device gpu` does it on a GPU, where only trainer.deterministic=true gives the same bits twice.

Of each setting, fp32 and bf16 with 0 and 2 workers, one run of train.py is left undisturbed. The others are killed by
SIGKILL: at a random time of the run, amid a random validation, or amid the writing of a random checkpoint. They go on
by their own command, and must end bit-identical to the undisturbed one: weights, their average, optimizer and schedule,
the best checkpoint, results, and TensorBoard's scalars and pictures, step by step, without a gap or a double point.
Exit code 1 where one doesn't. Linux and macOS: the runs are forked, so that imports are none of their time.
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
FORK = multiprocessing.get_context("fork")
SETTINGS = list(itertools.product(("32", "bf16"), (0, 2)))
"""Precision and workers."""
KINDS = ("at any time", "in a validation", "in a checkpoint")
TIMED = ("train/images_per_second", "train/data_share")
"""Scalars whose values are times, and differ between any two runs; their steps don't."""


@dataclass
class Point:
    """One kill, and what came of it."""

    precision: str
    workers: int
    kind: str
    died: str
    saved: int
    differing: list[str]


class Stage:
    """What a run in another process is at: shared memory, told by wrappers around what upnet does."""

    def __init__(self) -> None:
        self.now = multiprocessing.Value("i", 0, lock=False)
        self.counts = multiprocessing.Array("i", len(KINDS), lock=False)
        self.seconds = multiprocessing.Array("d", len(KINDS), lock=False)

    def watch(self) -> None:
        """In the process of the run: begin to tell."""
        from upnet.training.callbacks import AtomicCheckpointIO, Scalars
        from upnet.training.task import Task

        Scalars.on_train_batch_end = self._told(0, Scalars.on_train_batch_end)
        Task.validation_step = self._told(1, Task.validation_step)
        AtomicCheckpointIO.save_checkpoint = self._told(2, AtomicCheckpointIO.save_checkpoint)

    def _told(self, kind: int, honest: Callable[..., Any]) -> Any:
        def told(*given: Any, **named: Any) -> Any:
            before, start = self.now.value, time.perf_counter()
            self.now.value = kind
            self.counts[kind] += 1
            try:
                return honest(*given, **named)
            finally:
                self.now.value = before
                self.seconds[kind] += time.perf_counter() - start

        return told


class Runs:
    """Runs of one setting, in folders below `folder`."""

    def __init__(self, folder: Path, precision: str, workers: int, steps: int, device: str) -> None:
        self.folder = folder
        self.words = [
            "data=folder", f"data.root={folder.parent}/train", f"data.val_root={folder.parent}/validation",
            "data.patch=8", "data.batch_size=4", "model.encoder.width=4", "trainer.log_every_n_steps=1",
            "callbacks.progress=null", "callbacks.checkpoints.minutes=0.005", f"steps={steps}", "validations=4",
            "scheduler.warmup=2", f"precision={precision}", f"data.workers={workers}",
            f"trainer={device}", f"trainer.deterministic={device == 'gpu'}",
        ]  # fmt: skip
        folder.mkdir()
        start = time.perf_counter()
        self.stage = Stage()
        assert _code(self.start("whole", self.stage)) == 0, (folder / "whole.txt").read_text()
        self.length = time.perf_counter() - start

    def start(self, name: str, stage: Stage) -> BaseProcess:
        """Begin a run, or go on with it."""
        run = self.folder / name
        last = run / "checkpoints/last.ckpt"
        words = [*self.words, f"hydra.run.dir={run}", *([f"ckpt={last}"] if last.is_file() else [])]
        return _forked(words, self.folder / f"{name}.txt", stage)

    def killed(self, name: str, kind: int, draw: random.Random) -> str | None:
        """Kill a run at a random moment, and what it was at; None where it was through before."""
        stage = Stage()
        count = draw.randint(1, self.stage.counts[kind])
        mean = self.stage.seconds[kind] / self.stage.counts[kind]
        delay = draw.uniform(0, mean if kind else self.length)
        process = self.start(name, stage)
        while kind and process.is_alive() and (stage.now.value != kind or stage.counts[kind] < count):
            time.sleep(0.0002)
        process.join(delay)
        process.kill()
        code = _code(process)
        if code != -signal.SIGKILL:
            assert code == 0, (self.folder / f"{name}.txt").read_text()
            return None
        at = KINDS[stage.now.value]
        return f"{at if stage.now.value else 'between these'}, {stage.counts[0]} steps"


def _forked(words: Sequence[str], told: Path, stage: Stage) -> BaseProcess:
    """`python train.py WORDS`, what it prints added to a file."""

    def run() -> None:
        printed = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(printed, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = ["train.py", *words]
        # At its first use after a fork torch renews its pool of threads, and fails where several threads come at once.
        torch = importlib.import_module("torch")
        torch.set_num_threads(torch.get_num_threads())
        stage.watch()
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")

    process = FORK.Process(target=run)
    process.start()
    return process


def _code(process: BaseProcess) -> int | None:
    """The exit code; not by join() without a limit, which also waits for the workers of a process that was killed."""
    while process.exitcode is None:
        process.join(0.01)
    return process.exitcode


def differing(whole: Path, other: Path) -> list[str]:
    """In what two runs differ, in words."""
    import torch

    told: list[str] = []
    for name, parts in {"last": ("state_dict", "optimizer_states", "lr_schedulers", "loops", "upnet")}.items():
        one, two = (torch.load(run / f"checkpoints/{name}.ckpt", "cpu", weights_only=True) for run in (whole, other))
        told += [f"{name}.ckpt: {part}" for part in parts if not same(one[part], two[part])]
    best = [torch.load(run / "checkpoints/best.ckpt", "cpu", weights_only=True) for run in (whole, other)]
    if best[0]["global_step"] != best[1]["global_step"] or not same(best[0]["state_dict"], best[1]["state_dict"]):
        told.append("best.ckpt")
    results = [json.loads((run / "results.json").read_text(encoding="utf-8")) for run in (whole, other)]
    told += [f"results.json: {part}" for part in ("datasets", "raw", "step") if results[0][part] != results[1][part]]
    told += ["history.jsonl"] if _history(whole) != _history(other) else []
    logs = [_logged(run / "tensorboard") for run in (whole, other)]
    told += [f"TensorBoard: {tag}" for tag in {**logs[0], **logs[1]} if logs[0].get(tag) != logs[1].get(tag)]
    return told


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, at every depth."""
    import torch

    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _logged(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """What TensorBoard reads in a folder, every point of it, in the order of the steps."""
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


def paint(folder: Path) -> None:
    """Four pictures to train on and two to score."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 4), ("validation", 2)):
        (folder / part).mkdir()
        for number in range(count):
            noise = Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            noise.resize((128, 112), Image.Resampling.BICUBIC).save(folder / part / f"{part}{number}.png")


def points(folder: Path, count: int, steps: int, seed: int, device: str) -> list[Point]:
    """Kill so many runs, dealt out over the settings and the kinds of moments."""
    draw = random.Random(seed)
    paint(folder)
    runs: dict[tuple[str, int], Runs] = {}
    done: list[Point] = []
    offset = draw.randrange(len(SETTINGS))
    while len(done) < count:
        precision, workers = setting = SETTINGS[(len(done) + offset) % len(SETTINGS)]
        kind = (len(done) + len(done) // len(SETTINGS)) % len(KINDS)
        if setting not in runs:
            runs[setting] = Runs(folder / f"{precision}-{workers}", precision, workers, steps, device)
        own, name = runs[setting], f"run{len(done)}-{draw.randrange(10**6)}"
        died = own.killed(name, kind, draw)
        if died is None:
            continue
        last = own.folder / name / "checkpoints/last.ckpt"
        saved = _step(last) if last.is_file() else 0
        assert _code(own.start(name, Stage())) == 0, (own.folder / f"{name}.txt").read_text()
        told = differing(own.folder / "whole", own.folder / name)
        done.append(Point(precision, workers, KINDS[kind], died, saved, told))
        print(
            f"{len(done):3} precision={precision:4} workers={workers} killed {KINDS[kind]:15} ({died}), step {saved:2} "
            f"saved: {'equal' if not told else 'DIFFERENT: ' + ', '.join(told)}",
            flush=True,
        )
    return done


def _step(path: Path) -> int:
    from upnet.checkpoint import read

    return int(read(path)["upnet"]["step"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20, help="how many runs are killed (default: 20)")
    parser.add_argument("--steps", type=int, default=60, help="of every run (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (default: 0)")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the points go")
    given = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # to ask for a GPU by CUDA itself would forbid to fork
    import torch

    torch.set_num_threads(1)  # a process that is forked after torch has started threads can't train
    importlib.import_module("upnet.training")  # for all runs at once

    with tempfile.TemporaryDirectory() as temporary:
        done = points(Path(temporary), given.points, given.steps, given.seed, given.device)
    equal = sum(not point.differing for point in done)
    print(f"\n{equal} of {len(done)} runs ended bit-identical to the undisturbed one")
    if given.json:
        given.json.write_text(json.dumps([vars(point) for point in done], indent=2) + "\n", encoding="utf-8")
    return 0 if equal == len(done) else 1


if __name__ == "__main__":
    raise SystemExit(main())
