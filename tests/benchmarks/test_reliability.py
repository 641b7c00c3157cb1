"""benchmarks/reliability/fuzz.py and upscaling.py with few files."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import ROOT

FUZZ = ROOT / "benchmarks/reliability/fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> SimpleNamespace:
    """The functions of benchmarks/reliability/fuzz.py."""
    return SimpleNamespace(**runpy.run_path(str(FUZZ)))


@pytest.fixture(scope="module")
def upscaling() -> SimpleNamespace:
    """The functions of benchmarks/reliability/upscaling.py."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks/reliability/upscaling.py")))


def test_damaged_images_are_read_or_rejected_with_one_line(fuzz: SimpleNamespace, tmp_path: Path) -> None:
    subprocess.run([sys.executable, FUZZ, "--count", "400", "--json", tmp_path / "fuzz.json"], check=True, timeout=300)
    results = json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))
    assert results["read"] + results["rejected"] == 400
    assert min(results["read"], results["rejected"]) > 40  # damage that is neither too light nor too heavy


def test_reader_that_raises_another_error_is_detected(
    fuzz: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(path: Path, max_pixels: int) -> np.ndarray:
        raise IndexError("pop from empty list")

    (tmp_path / "a.png").write_bytes(fuzz.seeds()[0])
    assert fuzz.read(tmp_path / "a.png") == ("read", "")
    monkeypatch.setattr("upnet.imaging.reading.read_image", careless)
    assert fuzz.read(tmp_path / "a.png") == ("wrong", "for_upscaling: IndexError: pop from empty list")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which only Linux has")
@pytest.mark.full
def test_images_of_every_kind_are_upscaled_in_order(upscaling: SimpleNamespace, tmp_path: Path) -> None:
    count = len(upscaling.KINDS)
    arguments = ["--count", str(count), "--side", "40", "--json", str(tmp_path / "results.json")]
    assert upscaling.main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["images"] == count
    assert results["MiB"]["peak"] > 100


def test_missing_changed_and_unordered_outputs_are_detected(upscaling: SimpleNamespace, tmp_path: Path) -> None:
    images = upscaling.paint(tmp_path / "pictures", 4, 20)
    out = tmp_path / "outputs"
    out.mkdir()
    for name in reversed(images):
        (out / f"{Path(name).stem}.png").write_bytes((tmp_path / "pictures" / name).read_bytes())
    first = next(iter(images))
    (out / f"{Path(first).stem}.png").unlink()
    sentences = upscaling.faults(out, images)
    assert sentences[0] == f"{first} has no output"
    assert sum("has size, channels and bits" in sentence for sentence in sentences) == 3
    assert "the outputs were not written in the order of their names" in sentences
