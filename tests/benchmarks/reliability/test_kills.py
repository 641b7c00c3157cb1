"""benchmarks/reliability/kills.py with three runs."""

import json
import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import ROOT


@pytest.fixture(scope="module")
def kills() -> SimpleNamespace:
    """The functions of benchmarks/reliability/kills.py."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks/reliability/kills.py")))


@pytest.mark.full
def test_killed_runs_end_bit_identical_to_an_uninterrupted_run(
    kills: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    code = kills.main(["--points", "3", "--steps", "12", "--seed", str(seed), "--json", str(tmp_path / "points.json")])
    assert code == 0, (seed, capsys.readouterr().out)
    points = json.loads((tmp_path / "points.json").read_text())
    assert [point["kind"] for point in points] == list(kills.KINDS)
