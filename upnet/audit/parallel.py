"""parallel_map: a map over images in threads, with a progress bar and a time limit."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from upnet.utils.device import available_cpus

log = logging.getLogger(__name__)

_WARM_UP_SECONDS = 1.0
_MIN_LOGGED_SECONDS = 3.0

T = TypeVar("T")


class TimeBudgetError(Exception):
    """A search would exceed its time budget; `seconds` is the estimated duration of the complete search."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"about {format_duration(seconds)} are needed")
        self.seconds = seconds


class TimeBudget:
    """The time limit of a search in several stages. The time runs from the creation of the object.

    seconds: the limit; None: no limit.

    >>> budget = TimeBudget(60.0)
    >>> list(parallel_map(lambda index: index, 3, "Searching", budget))
    [0, 1, 2]
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.start = time.monotonic()
        self._logged: set[str] = set()

    def check(self, stage: str, stage_start: float, done: int, count: int) -> None:
        """Log the estimated duration of a stage once. Raises TimeBudgetError if the search would exceed the limit.

        stage_start: time.monotonic() at the start of the stage. In its first second, nothing is estimated or raised.
        done:        number of finished items of the stage.
        count:       number of all items of the stage.
        """
        now = time.monotonic()
        if now - stage_start < _WARM_UP_SECONDS or not done:
            return
        remaining = (now - stage_start) / done * (count - done)
        if self.seconds is not None and now - self.start + remaining > self.seconds:
            raise TimeBudgetError(now - self.start + remaining)
        if stage not in self._logged and remaining > _MIN_LOGGED_SECONDS:
            self._logged.add(stage)
            log.info("%s: %d images, about %s", stage, count, format_duration(remaining))


def format_duration(seconds: float) -> str:
    """A duration in one unit.

    >>> format_duration(40), format_duration(175), format_duration(9000)
    ('40 s', '3 min', '2 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"


def parallel_map(function: Callable[[int], T], count: int, stage: str, budget: TimeBudget | None = None) -> Iterator[T]:
    """Yield function(0), …, function(count - 1) in order, computed by one thread per CPU core.

    stage: label of the progress bar, which appears after a second.

    Raises TimeBudgetError if the map would exceed the budget.

    >>> list(parallel_map(lambda index: index**2, 4, "Squaring"))
    [0, 1, 4, 9]
    """
    budget, start = budget or TimeBudget(None), time.monotonic()
    workers = available_cpus()
    pending: deque[Future[T]] = deque()
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=count, desc=stage, unit="image", leave=False, delay=1, disable=None) as bar,
    ):
        for index in range(max(count, 0)):
            pending.append(pool.submit(function, index))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
                bar.update()
                budget.check(stage, start, index + 1 - len(pending), count)
        while pending:
            yield pending.popleft().result()
            bar.update()
            budget.check(stage, start, count - len(pending), count)
