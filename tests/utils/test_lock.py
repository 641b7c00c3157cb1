"""Locks between processes are released if their holder is killed or removes the file."""

import os
import signal
import time
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from support import code, forked

from upnet.utils.lock import locked


def test_children_of_a_killed_process_do_not_hold_its_lock(tmp_path: Path) -> None:
    children, ready = tmp_path / "children", tmp_path / "ready"

    def hold() -> None:
        with locked(tmp_path / "lock", on_wait=lambda: os._exit(1)):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.write_text(str(child))
            ready.touch()
            time.sleep(60)

    holder = forked(hold)
    while not ready.exists():
        time.sleep(0.01)
    waited: list[bool] = []

    def kill() -> None:
        waited.append(True)
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        assert os.waitpid(holder.pid, 0)[1] == signal.SIGKILL

    try:
        start = time.monotonic()
        with locked(tmp_path / "lock", kill):
            assert waited == [True]
            assert time.monotonic() - start < 30
            os.kill(int(children.read_text()), 0)  # the child is alive
    finally:
        os.kill(int(children.read_text()), signal.SIGKILL)


def test_exit_of_a_process_releases_its_lock(tmp_path: Path) -> None:
    def hold() -> None:
        with locked(tmp_path / "lock", on_wait=lambda: None):
            os._exit(7)

    assert code(forked(hold)) == 7
    with locked(tmp_path / "lock", on_wait=lambda: os._exit(1)):
        pass


def test_removed_lock_file_is_created_and_locked_again(tmp_path: Path) -> None:
    """Otherwise two processes would hold a lock each, on the removed file and on the new one of that name."""
    path, waits = tmp_path / "a.lock", []
    holder = FileLock(path, fallback_to_soft=False)
    holder.acquire()

    def remove() -> None:
        waits.append(1)
        path.unlink()
        holder.release()

    with locked(path, remove):
        assert waits == [1]
        with pytest.raises(Timeout):
            FileLock(path).acquire(timeout=0)


def test_failed_wait_does_not_release_the_lock_of_its_holder(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("busy")

    with locked(tmp_path / "lock", fail):
        with pytest.raises(RuntimeError, match="busy"), locked(tmp_path / "lock", fail):
            pass
        with pytest.raises(Timeout):
            FileLock(tmp_path / "lock").acquire(timeout=0)


def test_folder_of_a_lock_is_created(tmp_path: Path) -> None:
    with locked(tmp_path / "new/deep/lock", lambda: None):
        assert (tmp_path / "new/deep/lock").exists()
