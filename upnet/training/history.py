"""The file history.jsonl, which contains every scalar that a run logs.

One JSON object per line, in the order of logging:

    {"step": 50, "train/loss": 0.0312, "train/learning_rate": 0.002}

`step` counts optimizer steps. NaN and infinity are the strings "nan", "inf" and "-inf". The file does not
depend on the setting `logger`. A resumed run continues it: it then equals the file of an uninterrupted run, except for
measured times.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from upnet.utils.atomic_io import atomic_write

HISTORY = "history.jsonl"
"""The name of the file in the folder of a run."""


class HistoryLogger(Logger):
    """A Lightning logger that appends to history.jsonl in `folder`.

    Each line is written immediately. A killed process may leave an incomplete last line, which read_history() skips.
    Final scores, whose names begin with `final/`, are only in results.json.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> logger = HistoryLogger(folder)
    >>> logger.log_metrics({"train/loss": 0.25}, 1)
    >>> logger.log_metrics({"train/loss": 0.125}, 2)
    >>> logger.truncate(1)
    >>> list(read_history(folder))
    [(1, {'train/loss': 0.25})]
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / HISTORY

    @property
    def name(self) -> str:
        """The name of the file, without its suffix."""
        return "history"

    @property
    def version(self) -> str:
        """Empty: a run has one history."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder of the run."""
        return str(self.path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one line."""
        values = {name: _encode(float(value)) for name, value in metrics.items() if not name.startswith("final/")}
        if not values:
            return
        line = json.dumps({"step": step, **values}, ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: hyperparameters are in config.yaml."""

    @rank_zero_only
    def save(self) -> None:
        """Flush the file to disk, so that its lines survive a power failure."""
        if self.path.is_file():
            with self.path.open("rb+") as file:
                os.fsync(file.fileno())

    @rank_zero_only
    def truncate(self, step: int | None) -> None:
        """Remove the lines after a step, which a resumed run logs again. None removes the file."""
        if step is None:
            self.path.unlink(missing_ok=True)
        elif self.path.is_file():
            lines = [line for line, content in _lines(self.path) if content["step"] <= step]
            atomic_write("".join(lines), self.path)


def read_history(folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Step and scalars of each line of a run's history.jsonl, in the order of logging; none without the file."""
    path = folder / HISTORY
    if path.is_file():
        for _, content in _lines(path):
            yield content["step"], {name: float(value) for name, value in content.items() if name != "step"}


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each complete line: its text and its content."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                content = json.loads(line)
            except ValueError:
                continue
            if line.endswith("\n") and isinstance(content, dict) and isinstance(content.get("step"), int):
                yield line, content


def _encode(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
