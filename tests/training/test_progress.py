"""Training progress: a bar on a terminal, lines in a file."""

import io
import re
import sys
from pathlib import Path

import pytest

from upnet.training import train
from upnet.training.callbacks import progress

SHOWN = ("callbacks.progress={_target_:upnet.training.callbacks.Progress,refresh_rate:1}", "callbacks.grid=null")
LINE = re.compile(r"training: +(\d+)% (\d+)/(\d+) (steps|batches), \d\d:\d\d left, loss=[\d.e-]+(, PSNR=[\d.]+)?\n")


class Terminal(io.StringIO):
    """A stream whose isatty() is True."""

    def isatty(self) -> bool:
        """True."""
        return True


def lines(printed: str) -> list[tuple[int, int, int, str]]:
    """The parsed progress lines: percentage, done, total, unit."""
    assert "\r" not in printed
    return [(int(share), int(done), int(total), unit) for share, done, total, unit, _ in LINE.findall(printed)]


def test_20_lines_are_written_to_a_file(tiny, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny(*SHOWN, "steps=100", "validations=2"))
    printed = capsys.readouterr().out
    assert lines(printed) == [(share, share, 100, "steps") for share in range(5, 101, 5)]
    assert printed.count("training:") == 20
    # Lines after the first validation show its PSNR.
    assert ["PSNR" in found[0] for found in LINE.finditer(printed)] == [False] * 10 + [True] * 10


def test_a_resumed_run_counts_the_accumulated_batches_of_all_steps(
    tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = (*SHOWN, "validations=1", "trainer.accumulate_grad_batches=2")
    train(tiny(*overrides, "steps=5"))
    assert [done for _, done, _, _ in lines(capsys.readouterr().out)] == list(range(1, 11))
    train(tiny(*overrides, "steps=20", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    progress_lines = lines(capsys.readouterr().out)
    assert progress_lines[0] == (30, 12, 40, "batches")
    assert progress_lines[-1] == (100, 40, 40, "batches")
    assert len(progress_lines) == 15


def test_a_line_is_printed_after_the_maximum_interval(
    tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINES", 1)
    train(tiny(*SHOWN, "steps=6", "validations=1", run="rare"))
    assert [done for _, done, _, _ in lines(capsys.readouterr().out)] == [6]
    monkeypatch.setattr(progress, "SECONDS", 0)
    train(tiny(*SHOWN, "steps=6", "validations=1", run="often"))
    assert [done for _, done, _, _ in lines(capsys.readouterr().out)] == [1, 2, 3, 4, 5, 6]


def test_refresh_rate_0_prints_no_lines(tiny, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny(SHOWN[0].replace("rate:1", "rate:0"), *SHOWN[1:], "steps=6", "validations=1"))
    assert "training:" not in capsys.readouterr().out


def test_the_bar_of_a_resumed_run_shows_the_steps_of_the_complete_run(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny(*SHOWN, "steps=6", "validations=1"))
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        train(tiny(*SHOWN, "steps=12", "validations=1", f"ckpt={tmp_path}/run/checkpoints/last.ckpt"))
    bars = [bar for bar in terminal.getvalue().split("\r") if "steps" in bar]
    assert re.search(r"training:  50% \|.*\| 6/12 steps", bars[0])
    assert re.search(r"training: 100% \|.*\| 12/12 steps, 00:00 left, loss=", bars[-1])
