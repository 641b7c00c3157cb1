"""A file lock between processes, which the operating system releases when the process that holds it dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_ATTEMPT_SECONDS = 0.1
"""Duration of one attempt; an attempt may fail because the last holder is removing the file."""


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold an exclusive lock on a file, and wait for it while another process holds it.

    path:    of the lock file. The file and its folder are created if they are missing. On POSIX systems the file
             is not removed after use; its holder may remove it.
    on_wait: called once if another process holds the lock. An exception from it ends the wait.

    The lock is bound to the open file: after a process is killed, neither it nor its forked children hold the lock.

    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp()) / "lock", on_wait=lambda: print("waiting")):
    ...     print("held")
    held
    """
    # Where flock is missing, filelock's fallback is a lock that remains when its holder dies.
    lock = FileLock(path, fallback_to_soft=False)
    _acquire(lock, path, on_wait)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, path: Path, on_wait: Callable[[], None]) -> None:
    waiting = False
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)  # the last holder may have removed the folder, too
        try:
            lock.acquire(timeout=_ATTEMPT_SECONDS)
        except FileNotFoundError:
            continue
        except Timeout:
            if not waiting:
                on_wait()
                waiting = True
        else:
            return
