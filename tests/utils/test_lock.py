"""Who holds a lock, and until when."""

import os
import signal
import time
from pathlib import Path

from support import code, forked

from upnet.utils.lock import locked


def test_what_a_killed_process_had_forked_does_not_hold_its_lock(tmp_path: Path) -> None:
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
            os.kill(int(children.read_text()), 0)  # it lives
    finally:
        os.kill(int(children.read_text()), signal.SIGKILL)


def test_a_process_that_dies_frees_its_lock(tmp_path: Path) -> None:
    def hold() -> None:
        with locked(tmp_path / "lock", on_wait=lambda: None):
            os._exit(7)

    assert code(forked(hold)) == 7
    with locked(tmp_path / "lock", on_wait=lambda: os._exit(1)):
        pass
