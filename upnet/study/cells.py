"""The cells of a study on the disk: what each has done so far, and who is at work on it.

STUDY/cells/NAME-KEY/       the folder of a run, as any training leaves it, and beside its files
    cell.json               what the cell is, and every session of work on it; "finished" once it is through
    failed.json             why it failed, as long as that is the last that happened
    .cell.lock              held by the process at work, and freed by the operating system when that dies
"""

import hashlib
import json
import os
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upnet.evaluation.results import read_results, write_json
from upnet.utils.lock import locked

LOCK = ".cell.lock"


class BusyError(Exception):
    """Another process is at work on the cell."""


@dataclass(frozen=True)
class Cell:
    """One training of a study: a variant and a seed.

    number: its place in the plan, from 1 on.
    label:  its variant in words.
    key:    a hash of whatever its result depends on, code aside.
    folder: where its run lies.
    """

    number: int
    arm: str
    levels: Mapping[str, str]
    label: str
    seed: int
    key: str
    folder: Path

    @property
    def name(self) -> str:
        """In words, with its seed."""
        return f"{self.label}, seed {self.seed}"

    def told(self) -> dict[str, Any]:
        """What cell.json says of it."""
        return _read(self.folder / "cell.json")

    def failure(self) -> dict[str, Any]:
        """What failed.json says; empty where it didn't fail."""
        return _read(self.folder / "failed.json")

    def results(self) -> dict[str, Any] | None:
        """Its results.json, once it is through."""
        if "finished" not in self.told():
            return None
        try:
            return read_results(self.folder / "results.json")
        except ValueError:
            return None  # removed, or damaged with the disk: to be made again

    def made_by(self) -> dict[str, str]:
        """The code of its last session; empty before the first."""
        sessions = self.told().get("sessions", [])
        return sessions[-1]["code"] if sessions else {}

    def minutes(self) -> float | None:
        """How long all of its sessions took, once it is through; what was done twice counts once."""
        if self.results() is None:
            return None
        told = self.told()
        last = told["sessions"][-1]
        return (told["finished"] - last["time"]) / 60 + last["minutes_before"]

    def deaths(self) -> int:
        """How often in a row its process died at work on it without having come any farther."""
        count = 0
        sessions = self.told().get("sessions", [])
        for session in reversed(sessions):
            if session.get("ended") is not None or session["step"] != sessions[-1]["step"]:
                break
            count += 1
        return count


@contextmanager
def held(cell: Cell) -> Iterator[None]:
    """Have a cell to oneself. Raises BusyError where another process has it."""

    def refuse() -> None:
        raise BusyError

    cell.folder.mkdir(parents=True, exist_ok=True)
    with locked(cell.folder / LOCK, refuse):
        yield


def begin(cell: Cell, code: Mapping[str, str], step: int) -> None:
    """Note that work on a cell begins, from a step on: 0 for a start from nothing."""
    earlier = cell.told().get("sessions", [])
    minutes = 0.0
    if step and earlier:
        # What was done since the checkpoint that is gone on from is done again, and counts then.
        saved = max(path.stat().st_mtime for path in (cell.folder / "checkpoints").glob("last*.ckpt"))
        minutes = earlier[-1]["minutes_before"] + max(0.0, saved - earlier[-1]["time"]) / 60
    session = {
        "time": time.time(),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "code": dict(code),
        "step": step,
        "minutes_before": round(minutes, 3),
        "ended": None,
    }
    known = {"key": cell.key, "arm": cell.arm, "levels": dict(cell.levels), "seed": cell.seed}
    write_json({**known, "sessions": [*earlier, session]}, cell.folder / "cell.json")


def end(cell: Cell, how: str) -> None:
    """Note how a session ended: finished, failed or interrupted."""
    told = cell.told()
    told["sessions"][-1]["ended"] = how
    if how == "finished":
        told["finished"] = time.time()
        results = read_results(cell.folder / "results.json")
        results["minutes"] = round(float(results["minutes"]) + told["sessions"][-1]["minutes_before"], 3)
        write_json(results, cell.folder / "results.json")
        (cell.folder / "failed.json").unlink(missing_ok=True)
    write_json(told, cell.folder / "cell.json")


def fail(cell: Cell, fault: BaseException) -> str:
    """Record why a cell failed: its reason, on one line, comes back."""
    reason = " ".join(str(fault).split()) or type(fault).__name__
    if not isinstance(fault, ValueError):
        reason = f"{type(fault).__name__}: {reason}"
    told = {
        "reason": reason,
        "attempts": int(cell.failure().get("attempts", 0)) + 1,
        "time": time.time(),
        "traceback": "".join(traceback.format_exception(fault)),
    }
    write_json(told, cell.folder / "failed.json")
    end(cell, "failed")
    return reason


def hashed(content: Mapping[str, Any]) -> str:
    """A short name for plain data, the same wherever it is told in the same words."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:10]


def _read(path: Path) -> dict[str, Any]:
    """A file of plain data; empty where there is none, or none that is whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
