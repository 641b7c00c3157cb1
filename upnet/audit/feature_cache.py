"""The features of many pictures: made by all cores, and kept in a file for the next time."""

import logging
import os
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from upnet.audit.features import Features

log = logging.getLogger(__name__)

_WARM_UP = 1.0
_WORTH_SAYING = 3.0


class OutOfTimeError(Exception):
    """A search would take longer than it may; `seconds` is the estimate for all of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"about {duration(seconds)} are needed")
        self.seconds = seconds


class Budget:
    """Seconds that a search of several stages may take, from now on; None sets no limit."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.started = time.monotonic()
        self._said: set[str] = set()

    def check(self, stage: str, begun: float, done: int, count: int) -> None:
        """Say once how long a stage will take. Raises OutOfTimeError where the search would take too long.

        begun: when the stage began, by time.monotonic(); done, count: its items. The first second tells nothing.
        """
        now = time.monotonic()
        if now - begun < _WARM_UP or not done:
            return
        left = (now - begun) / done * (count - done)
        if self.seconds is not None and now - self.started + left > self.seconds:
            raise OutOfTimeError(now - self.started + left)
        if stage not in self._said and left > _WORTH_SAYING:
            self._said.add(stage)
            log.info("%s: %d images, about %s", stage, count, duration(left))


def duration(seconds: float) -> str:
    """Seconds for people: 40 s, 3 min, 2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"


log = logging.getLogger(__name__)

_KEPT = ("sizes", "counts", "thumbs", "points", "patches", "wholes")

Made = TypeVar("Made")


def by_all_cores(make: Callable[[int], Made], count: int, told: str, budget: Budget | None = None) -> Iterator[Made]:
    """make(0), make(1), …, in order, a few ahead; with a bar where it takes more than a second.

    Raises OutOfTimeError where that would take longer than the budget allows.
    """
    budget, begun = budget or Budget(None), time.monotonic()
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[Made]] = deque()
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=count, desc=told, unit="picture", leave=False, delay=1, disable=None) as bar,
    ):
        for number in range(max(count, 0)):
            waiting.append(pool.submit(make, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
                bar.update()
                budget.check(told, begun, number + 1 - len(waiting), count)
        while waiting:
            yield waiting.popleft().result()
            bar.update()
            budget.check(told, begun, count - len(waiting), count)


def load(file: Path, count: int) -> list[Features] | None:
    """The features of `count` pictures; None where the file is missing or damaged."""
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as kept:
            return _unpacked({key: kept[key] for key in _KEPT}, count)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.info("%s cannot be used and is made again: %s", file, error)
        return None


def save(file: Path, features: Sequence[Features]) -> None:
    """Write the features aside and rename the file; where it cannot be written they are made again the next time."""
    write(file, lambda part: _savez(part, _packed(features)))


def write(file: Path, fill: Callable[[Path], object]) -> None:
    """Let a file of another name be filled and give it its own; a folder that can only be read is none of our business.

    `fill` gets a path that ends as the file's does.
    """
    part = file.with_name(f".part{os.getpid()}-{file.name}")
    try:
        fill(part)
        part.replace(file)
    except OSError as error:
        log.info("%s cannot be written: %s", file, error.strerror or error)
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _savez(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _packed(features: Sequence[Features]) -> dict[str, np.ndarray]:
    return {
        "sizes": np.array([feature.size for feature in features], dtype=np.int64).reshape(-1, 2),
        "counts": np.array([len(feature.points) for feature in features], dtype=np.int64),
        "thumbs": np.concatenate([feature.thumb.reshape(-1) for feature in features]),
        "points": torch.cat([feature.points for feature in features]).numpy(),
        "patches": torch.cat([feature.patches for feature in features]).numpy().astype(np.float16),
        "wholes": torch.stack([feature.whole for feature in features]).numpy(),
    }


def _unpacked(kept: dict[str, np.ndarray], count: int) -> list[Features]:
    """Raises ValueError where the arrays don't fit each other."""
    sizes, counts = kept["sizes"], kept["counts"]
    if len(sizes) != count or len(counts) != count or sizes.prod(1).sum() != len(kept["thumbs"]):
        raise ValueError("it holds other pictures")
    points, patches = (np.split(kept[key], np.cumsum(counts)[:-1]) for key in ("points", "patches"))
    thumbs = np.split(kept["thumbs"], np.cumsum(sizes.prod(1))[:-1])
    return [
        Features(thumb.reshape(size), torch.from_numpy(p), torch.from_numpy(q.astype(np.float32)), torch.from_numpy(w))
        for thumb, size, p, q, w in zip(thumbs, sizes.tolist(), points, patches, kept["wholes"], strict=True)
    ]
