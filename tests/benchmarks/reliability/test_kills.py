"""Three runs are killed at random moments; the full count is the benchmark's own."""

import json
import random
from pathlib import Path

import pytest

from benchmarks.reliability.kills import KINDS, main


@pytest.mark.full
def test_runs_killed_at_random_moments_end_bit_identical_to_undisturbed_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    code = main(["--points", "3", "--steps", "12", "--seed", str(seed), "--json", str(tmp_path / "points.json")])
    assert code == 0, (seed, capsys.readouterr().out)
    points = json.loads((tmp_path / "points.json").read_text())
    assert [point["kind"] for point in points] == list(KINDS)
