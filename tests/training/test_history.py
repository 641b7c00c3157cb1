"""history.jsonl holds the logged values and is truncated to the step from which a run resumes."""

import math
import os
from pathlib import Path

import pytest

from upnet.training.history import HISTORY, HistoryLogger, read_history


@pytest.fixture
def logger(tmp_path: Path) -> HistoryLogger:
    """A history of steps 1 to 6."""
    logger = HistoryLogger(tmp_path)
    for step in range(1, 7):
        logger.log_metrics({"loss": step / 7, "rate": 0.5}, step)
    return logger


def test_values_are_read_back_exactly(logger: HistoryLogger, tmp_path: Path) -> None:
    assert list(read_history(tmp_path)) == [(step, {"loss": step / 7, "rate": 0.5}) for step in range(1, 7)]


def test_truncate_removes_the_values_after_the_step(logger: HistoryLogger, tmp_path: Path) -> None:
    logger.truncate(4)
    assert [step for step, _ in read_history(tmp_path)] == [1, 2, 3, 4]
    logger.truncate(None)
    assert not (tmp_path / HISTORY).exists()


def test_a_file_truncated_at_any_byte_keeps_its_complete_lines(logger: HistoryLogger, tmp_path: Path) -> None:
    content = logger.path.read_bytes()
    lines = content.splitlines(keepends=True)
    for length in range(len(content)):
        logger.path.write_bytes(content[:length])
        complete = sum(len(b"".join(lines[:count])) <= length for count in range(1, len(lines) + 1))
        assert len(list(read_history(tmp_path))) == complete
        logger.truncate(4)
        assert logger.path.read_bytes() == b"".join(lines[: min(complete, 4)])


@pytest.mark.parametrize("failing_call", ["fsync", "replace"])
def test_an_interrupted_truncate_leaves_the_file_unchanged(
    logger: HistoryLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_call: str
) -> None:
    def interrupt(*rest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, failing_call, interrupt)
        with pytest.raises(KeyboardInterrupt):
            logger.truncate(4)
    assert len(list(read_history(tmp_path))) == 6
    logger.truncate(4)
    assert len(list(read_history(tmp_path))) == 4


def test_non_finite_values_are_read_back(logger: HistoryLogger, tmp_path: Path) -> None:
    logger.log_metrics({"loss": math.inf, "gain": -math.inf, "norm": math.nan}, 7)
    *_, (step, values) = read_history(tmp_path)
    assert (step, values["loss"], values["gain"]) == (7, math.inf, -math.inf)
    assert math.isnan(values["norm"])


def test_final_scores_are_not_written_to_the_history(logger: HistoryLogger, tmp_path: Path) -> None:
    logger.log_metrics({"final/set/psnr": 30.0}, 6)
    assert len(list(read_history(tmp_path))) == 6


def test_a_folder_without_a_history_yields_no_values(tmp_path: Path) -> None:
    assert list(read_history(tmp_path)) == []
