"""Tables of results on the terminal."""

import math
from typing import Any

import pytest

from upnet.evaluation.dataset_scores import DatasetScores
from upnet.evaluation.results import results_content
from upnet.evaluation.tables import print_comparison, print_results
from upnet.metrics import EvaluationProtocol, Score


def content(protocol: EvaluationProtocol, psnr: float, perceptual: bool = False, **extra: Any) -> dict[str, Any]:
    tally = DatasetScores("Set5", "p" * 64, "files")
    metrics = {"lpips": 0.1234} if perceptual else {}
    tally.add("ba[b]y", Score(psnr, 0.97, perceptual=metrics), Score(37.0, 0.96, perceptual=metrics))
    measures = {"lpips": {"weights": "some.pth"}} if perceptual else {}
    return results_content([tally], protocol.describe(2), {"measures": measures, "device": "cpu", **extra})


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_table_contains_scores_gain_and_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(content(EvaluationProtocol(), 38.5, perceptual=True))
    printed = capsys.readouterr().out
    for part in ("×2, rgb8, channel y, crop 2", "ba[b]y", "37.00", "38.50", "+1.50", "LPIPS", "0.1234", "+0.0000",
                 "image hash pppppppppppp", "float64 metrics", "some.pth"):  # fmt: skip
        assert part in printed, part


def test_gains_are_finite_and_excluded_images_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    tally = DatasetScores("Set5", "p" * 64, "files")
    for name, network, baseline in (("black", 65.0, math.inf), ("white", math.inf, math.inf), ("one", 32.0, 31.0)):
        tally.add(name, Score(network, 0.9), Score(baseline, 0.8))
    results = results_content([tally], EvaluationProtocol().describe(2), {})
    print_results(results)
    printed = capsys.readouterr().out
    assert "nan" not in printed
    (mean,) = (line for line in printed.splitlines() if line.split()[1:2] == ["mean"])
    for part in ("31.00", "32.00", "+1.00", "0.8000", "0.9000"):
        assert part in mean, part
    assert "because bicubic equals the target: black, white." in printed
    print_comparison(["a", "b"], [results, results])
    assert "because bicubic equals the target: black, white." in " ".join(capsys.readouterr().out.split())


def test_bicubic_is_not_compared_with_itself(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(content(EvaluationProtocol(), 37.0, method={"kind": "baseline", "name": "bicubic"}))
    printed = capsys.readouterr().out
    assert printed.count("bicubic PSNR") == 1
    assert "gain" not in printed


def test_results_of_one_protocol_share_the_bicubic_column_and_the_footnote(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(["a", "b"], [content(EvaluationProtocol(), 38.0), content(EvaluationProtocol(), 39.0)])
    printed = capsys.readouterr().out
    assert printed.count("bicubic") == 1
    assert printed.count("image hash pppppppppppp") == 1
    assert "[1]" not in printed
    assert "38.00 / 0.9700" in printed
    assert "39.00 / 0.9700" in printed


def test_mixed_protocols_are_marked_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    contents = [
        content(EvaluationProtocol(), 38.0),
        content(EvaluationProtocol("y-float"), 39.0),
        content(EvaluationProtocol(), 40.0),
    ]
    with pytest.raises(ValueError, match="name: rgb8 and y-float"):
        print_comparison(["a", "b", "c"], contents)
    print_comparison(["a", "b", "c"], contents, allow_mixed=True)
    printed = capsys.readouterr().out
    for part in ("bicubic [1]", "bicubic [2]", "a [1]", "b [2]", "c [1]", "a, c: ×2, rgb8", "b: ×2, y-float"):
        assert part in printed, part
