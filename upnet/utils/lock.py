"""One process at a time: a lock that the operating system frees when its holder dies."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on a file, which is created, and stays unless its holder removes it.

    `on_wait` is called once if another process holds it.

    The lock goes by the open file, not by the file's existence, so a killed process leaves none behind; neither do the
    workers that it had forked, which take seconds to notice its death.
    """
    waited = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)  # a holder that removes its file may remove an empty folder, too
        with path.open("a+b") as file:
            while not _try_lock(file):
                if not waited:
                    on_wait()
                    waited = True
                time.sleep(0.1)
            if not _is_at(file, path):  # its last holder has removed it, and the next one made another
                continue
            _held.add(file)
            try:
                # Closing the file frees the lock.
                yield
            finally:
                _held.discard(file)
            return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


_held: set[IO[bytes]] = set()


def _let_go() -> None:
    """In a forked process: the lock is its parent's. Closing the file there leaves it locked here."""
    for file in _held:
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


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
