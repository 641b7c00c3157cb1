"""Where the project lies, and what tests look at."""

import importlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from comparison import same as same
from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
IMAGES = ROOT.parent / "shared" / "images"

Compose = Callable[..., DictConfig]
"""compose("model=edsr", "scale=3", command="train"): the config of a command, as Hydra composes it."""


def state(path: Path) -> dict[str, Any]:
    """What a checkpoint file holds."""
    return torch.load(path, weights_only=True)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """TensorBoard's scalars by tag, (step, value) in the order of logging, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def remount(disk: Path, options: str) -> None:
    """Make a mounted disk larger, "size=64m", or read-only, "ro"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int, beyond: int = 0) -> None:
    """Send the process a signal at the end of that step, or so many of the batches beyond it that make the next."""
    from upnet.training import callbacks

    original = callbacks.SaveAtInterrupt.on_train_batch_end

    def after(self: Any, trainer: Any, *rest: Any) -> None:
        if rest[-1] + 1 == step * trainer.accumulate_grad_batches + beyond and not self.interrupted:
            os.kill(os.getpid(), number)
        original(self, trainer, *rest)

    monkeypatch.setattr(callbacks.SaveAtInterrupt, "on_train_batch_end", after)


def score_by(monkeypatch: pytest.MonkeyPatch, psnr: Callable[[int], float]) -> None:
    """Let the validation PSNR that best.ckpt goes by be a function of the step."""
    from upnet.training.task import Task

    honest = Task.log

    def log(self: Task, name: str, value: Any, **rest: Any) -> None:
        honest(self, name, float(psnr(self.global_step)) if name == "val/psnr" else value, **rest)

    monkeypatch.setattr(Task, "log", log)


def forked(run: Callable[[], object]) -> BaseProcess:
    """A process that has everything imported already, and is at work."""

    def begin() -> None:
        # At its first use after a fork torch renews its pool of threads, and fails where several threads come at once.
        torch.set_num_threads(torch.get_num_threads())
        run()

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    return process


def command(
    words: Sequence[str], told: Path, before: Callable[[], object] = lambda: None, script: str = "train.py"
) -> BaseProcess:
    """`python train.py WORDS` after a call of `before`, forked, in the folder of the file that takes what it prints."""

    def run() -> None:
        printed = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(printed, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        sys.argv = [script, *words]
        os.chdir(told.parent)
        before()
        runpy.run_path(str(ROOT / script), run_name="__main__")

    # Imported before the fork, so that the commands do not import them one by one.
    for module in ("training.runner", "cli.evaluate", "cli.report", "cli.upscale", "evaluation.figures"):
        importlib.import_module(f"upnet.{module}")
    return forked(run)


def code(process: BaseProcess) -> int | None:
    """How a process ends: its exit code, negative for a signal. Its own children may live on."""
    end = time.monotonic() + 240
    while process.exitcode is None and time.monotonic() < end:
        process.join(0.01)
    return process.exitcode


def stores(cache: Path) -> list[Path]:
    """The stores in a cache folder."""
    return sorted(path for path in cache.glob("*") if path.is_dir())
