"""benchmarks/soak.py: one round, and the regression of growth."""

import json
import platform
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import ROOT


@pytest.fixture(scope="module")
def soak() -> SimpleNamespace:
    """The functions of benchmarks/soak.py."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks/soak.py")))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
@pytest.mark.full
def test_one_round_completes(soak: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--minutes", "0", "--steps", "4", "--json", str(tmp_path / "soak.json")]) == 0
    results = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert results["rounds"] == len(results["samples"]) == 1
    sample = results["samples"][0]
    assert 100 < sample["allocated"] <= sample["heap"] < 2 * sample["memory"]
    assert sample["mapped_files"] > 50
    assert 0.3 * sample["memory"] < sample["after_trim"] <= sample["memory"]
    threads = results["growth"]["threads"]  # of children, a process of tests may have some of its own
    assert threads["first"] == threads["last"] >= 1
    assert threads["slope"] is None
    assert "memory" in capsys.readouterr().out


@pytest.mark.parametrize(("per_hour", "grows"), [(0.0, False), (12.0, True)])
def test_growth_is_distinguished_from_noise(soak: SimpleNamespace, per_hour: float, grows: bool) -> None:
    rng = np.random.default_rng(0)
    samples = [
        soak.Sample(t, 900 + per_hour * t / 3600 + rng.normal(0, 5), 550, 300, 250, 200, 4, 10, 1000, 0, 500_000)
        for t in range(20, 3600, 20)
    ]
    row = soak.growth(samples, "memory")
    assert row.low is not None
    assert row.high is not None
    assert row.low < per_hour < row.high
    assert (row.low > 0) is grows
    assert soak.growth(samples, "files").slope == 0
