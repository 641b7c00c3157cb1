"""A lock between processes. The operating system frees it when its holder dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_PATIENCE = 0.1
"""Seconds of one attempt; an attempt may fail because a former holder is just removing the file."""


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock on a file, and wait for it while another process holds it.

    path:    of the lock file. The file and its folder are created if they are missing. The file stays behind on POSIX
             systems; its holder may remove it.
    on_wait: called once if another process holds the lock. An exception from it ends the wait.

    The lock belongs to the open file: a killed process leaves no lock behind, and neither do its forked children.

    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp()) / "lock", on_wait=lambda: print("waiting")):
    ...     print("held")
    held
    """
    # Without flock, filelock would fall back to a lock that outlives its holder.
    lock = FileLock(path, fallback_to_soft=False)
    _acquire(lock, path, on_wait)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, path: Path, on_wait: Callable[[], None]) -> None:
    waiting = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)  # the former holder may have removed the folder, too
        try:
            lock.acquire(timeout=_PATIENCE)
        except FileNotFoundError:
            continue
        except Timeout:
            if not waiting:
                on_wait()
                waiting = True
        else:
            return
