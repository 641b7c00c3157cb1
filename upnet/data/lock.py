"""One process at a time: a lock that the operating system frees when its holder dies."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on a file, which is created and stays; `on_wait` is called once if another process holds it.

    The lock goes by the open file, not by the file's existence, so a killed process leaves none behind.
    """
    with path.open("a+b") as file:
        waited = False
        while not _try_lock(file):
            if not waited:
                on_wait()
                waited = True
            time.sleep(0.1)
        # Closing the file frees the lock.
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
