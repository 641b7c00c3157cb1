"""The cells of a study on disk: each is one training, with a record of its sessions and a lock.

A session is the work of one process on a cell. A cell that is interrupted or fails has several.

STUDY/cells/NAME-KEY/       the folder of a run, as any training writes it, and in addition
    cell.json               what the cell trains, and its sessions; "finished" after the last one
    failed.json             why the last session failed; removed when a later one succeeds
    .cell.lock              held by the process that trains the cell; the operating system releases it when that ends
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

from upnet.checkpoint.migration import RENAMED_SETTINGS, RENAMED_TARGETS, RENAMED_VALUES
from upnet.evaluation.results import read_results, write_json
from upnet.utils.errors import RunError, UserError
from upnet.utils.lock import locked

LOCK = ".cell.lock"


class CellBusyError(RunError):
    """Another process is training the cell."""


@dataclass(frozen=True)
class Cell:
    """One training of a study: a variant with a seed.

    number: its position in the plan, from 1.
    levels: factor -> name of its level.
    label:  of its variant.
    key:    a hash of everything that its result depends on, except the code.
    folder: of its run.
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
        """The label and the seed, for messages."""
        return f"{self.label}, seed {self.seed}"

    def record(self) -> dict[str, Any]:
        """The content of cell.json; empty before the first session."""
        return _read(self.folder / "cell.json")

    def failure(self) -> dict[str, Any]:
        """The content of failed.json; empty where the cell didn't fail."""
        return _read(self.folder / "failed.json")

    def results(self) -> dict[str, Any] | None:
        """The content of results.json; None where the cell isn't finished, or where the file is missing or damaged."""
        if "finished" not in self.record():
            return None
        try:
            return read_results(self.folder / "results.json")
        except UserError:
            return None

    def code_version(self) -> dict[str, str]:
        """The code of the last session; empty before the first."""
        sessions = self.record().get("sessions", [])
        return sessions[-1]["code"] if sessions else {}

    def minutes(self) -> float | None:
        """The duration of all sessions, with repeated steps counted once; None where the cell isn't finished."""
        if self.results() is None:
            return None
        record = self.record()
        last = record["sessions"][-1]
        return (record["finished"] - last["time"]) / 60 + last["minutes_before"]

    def crashes(self) -> int:
        """The number of sessions at the end of the record whose process died before it saved a later checkpoint."""
        count = 0
        sessions = self.record().get("sessions", [])
        for session in reversed(sessions):
            if session.get("ended") is not None or session["step"] != sessions[-1]["step"]:
                break
            count += 1
        return count


@contextmanager
def claimed(cell: Cell) -> Iterator[None]:
    """Hold the lock of a cell in this context. Raises CellBusyError where another process holds it."""

    def raise_busy() -> None:
        raise CellBusyError(f"another process is training {cell.name}")

    cell.folder.mkdir(parents=True, exist_ok=True)
    with locked(cell.folder / LOCK, raise_busy):
        yield


def begin_session(cell: Cell, code: Mapping[str, str], step: int) -> None:
    """Record that a session begins at a step, which is 0 for a training from scratch.

    code: the versions of the code, see `upnet.study.code_version`.
    """
    earlier = cell.record().get("sessions", [])
    minutes = 0.0
    if step and earlier:
        # The steps after the resumed checkpoint are repeated; they count in the new session only.
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
    identity = {"key": cell.key, "arm": cell.arm, "levels": dict(cell.levels), "seed": cell.seed}
    write_json({**identity, "sessions": [*earlier, session]}, cell.folder / "cell.json")


def end_session(cell: Cell, outcome: str) -> None:
    """Record how a session ended: "finished", "failed" or "interrupted"."""
    record = cell.record()
    record["sessions"][-1]["ended"] = outcome
    if outcome == "finished":
        record["finished"] = time.time()
        results = read_results(cell.folder / "results.json")
        results["minutes"] = round(float(results["minutes"]) + record["sessions"][-1]["minutes_before"], 3)
        write_json(results, cell.folder / "results.json")
        (cell.folder / "failed.json").unlink(missing_ok=True)
    write_json(record, cell.folder / "cell.json")


def record_failure(cell: Cell, error: BaseException) -> str:
    """Write failed.json, end the session as failed, and return the reason on one line.

    The reason is the message; the class of the error precedes it unless it is a UserError.
    """
    message = " ".join(str(error).split())
    reason = message if isinstance(error, UserError) else f"{type(error).__name__}: {message or 'no message'}"
    failure = {
        "reason": reason,
        "attempts": int(cell.failure().get("attempts", 0)) + 1,
        "time": time.time(),
        "traceback": "".join(traceback.format_exception(error)),
    }
    write_json(failure, cell.folder / "failed.json")
    end_session(cell, "failed")
    return reason


def short_hash(content: Mapping[str, Any]) -> str:
    """A hash of plain data, of ten hexadecimal digits; the order of keys makes no difference.

    >>> short_hash({"a": 1, "b": 2}) == short_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:10]


def earlier_names(config: Any, path: str = "") -> Any:
    """A copy of a config in which components and settings have the names of checkpoint format 2.

    config: plain data. It is not changed.
    path:   of the config: "model" or "settings" for these parts.

    The inverse of `upnet.checkpoint.migration.rename_config`. Keys of cells are hashes of configs: the cells of earlier
    studies have keys with the former names.

    >>> earlier_names({"_target_": "upnet.encoders.MaxPoolEncoder", "width": 16})
    {'_target_': 'upnet.encoders.Plain', 'width': 16}
    """
    if isinstance(config, list):
        return [earlier_names(item, path) for item in config]
    if not isinstance(config, Mapping):
        return config
    owner = str(config.get("_target_", path))
    earlier: dict[Any, Any] = {}
    for key, value in config.items():
        names = {new: old for (component, old), new in RENAMED_SETTINGS.items() if component == owner}
        values = RENAMED_TARGETS if key == "_target_" else RENAMED_VALUES.get((owner, key), {})
        value = next((old for old, new in values.items() if new == value), value)
        earlier[names.get(key, key)] = earlier_names(value, f"{path}.{key}" if path else str(key))
    return earlier


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
