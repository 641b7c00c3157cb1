"""The time that a search may take, estimated while it runs."""

import logging
import time

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
