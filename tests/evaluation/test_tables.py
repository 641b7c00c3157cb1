"""Tables on the terminal."""

import math
from typing import Any

import pytest

from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.results import results_content
from upnet.evaluation.tables import print_comparison, print_results
from upnet.metrics import EvaluationProtocol, Score


def content(protocol: EvaluationProtocol, psnr: float, measured: bool = False, **extra: Any) -> dict[str, Any]:
    tally = DatasetScores("Set5", "p" * 64, "files")
    more = {"lpips": 0.1234} if measured else {}
    tally.add("ba[b]y", Score(psnr, 0.97, perceptual=more), Score(37.0, 0.96, perceptual=more))
    measures = {"lpips": {"weights": "some.pth"}} if measured else {}
    return results_content([tally], protocol.describe(2), {"measures": measures, "device": "cpu", **extra})


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_a_table_tells_scores_gain_and_what_they_depend_on(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(content(EvaluationProtocol(), 38.5, measured=True))
    told = capsys.readouterr().out
    for part in ("×2, rgb8, channel y, crop 2", "ba[b]y", "37.00", "38.50", "+1.50", "LPIPS", "0.1234", "+0.0000",
                 "image hash pppppppppppp", "float64 metrics", "some.pth"):  # fmt: skip
        assert part in told, part


def test_gains_are_numbers_and_what_the_means_leave_out_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    tally = DatasetScores("Set5", "p" * 64, "files")
    for name, network, baseline in (("black", 65.0, math.inf), ("white", math.inf, math.inf), ("one", 32.0, 31.0)):
        tally.add(name, Score(network, 0.9), Score(baseline, 0.8))
    told = results_content([tally], EvaluationProtocol().describe(2), {})
    print_results(told)
    shown = capsys.readouterr().out
    assert "nan" not in shown
    (mean,) = (line for line in shown.splitlines() if line.split()[1:2] == ["mean"])
    for part in ("31.00", "32.00", "+1.00", "0.8000", "0.9000"):
        assert part in mean, part
    assert "because bicubic equals the target: black, white." in shown
    print_comparison(["a", "b"], [told, told])
    assert "because bicubic equals the target: black, white." in " ".join(capsys.readouterr().out.split())


def test_bicubic_is_not_shown_beside_itself(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(content(EvaluationProtocol(), 37.0, method={"kind": "baseline", "name": "bicubic"}))
    told = capsys.readouterr().out
    assert told.count("bicubic PSNR") == 1
    assert "gain" not in told


def test_one_protocol_has_one_column_of_bicubic_and_one_footnote(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(["a", "b"], [content(EvaluationProtocol(), 38.0), content(EvaluationProtocol(), 39.0)])
    told = capsys.readouterr().out
    assert told.count("bicubic") == 1
    assert told.count("image hash pppppppppppp") == 1
    assert "[1]" not in told
    assert "38.00 / 0.9700" in told
    assert "39.00 / 0.9700" in told


def test_mixed_numbers_are_marked_and_each_footing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    contents = [
        content(EvaluationProtocol(), 38.0),
        content(EvaluationProtocol("y-float"), 39.0),
        content(EvaluationProtocol(), 40.0),
    ]
    with pytest.raises(ValueError, match="name: rgb8 and y-float"):
        print_comparison(["a", "b", "c"], contents)
    print_comparison(["a", "b", "c"], contents, allow_mixed=True)
    told = capsys.readouterr().out
    for part in ("bicubic [1]", "bicubic [2]", "a [1]", "b [2]", "c [1]", "a, c: ×2, rgb8", "b: ×2, y-float"):
        assert part in told, part
