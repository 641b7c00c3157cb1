"""What the full counts show at length holds in small, by the same scripts."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability import fuzz, upscaling


def test_damaged_pictures_are_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    assert fuzz.main(["--count", "400", "--json", str(tmp_path / "fuzz.json")]) == 0
    told = json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))
    assert told["read"] + told["rejected"] == 400
    assert min(told["read"], told["rejected"]) > 40  # damage that is neither too light nor too heavy


def test_a_loader_that_raises_something_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(path: Path, max_pixels: int) -> np.ndarray:
        raise IndexError("pop from empty list")

    (tmp_path / "a.png").write_bytes(fuzz.seeds()[0])
    assert fuzz.read(tmp_path / "a.png") == ("read", "")
    monkeypatch.setattr("upnet.imaging.reading.read_image", careless)
    assert fuzz.read(tmp_path / "a.png") == ("wrong", "for_upscaling: IndexError: pop from empty list")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc, which only Linux has")
@pytest.mark.full
def test_a_folder_of_every_kind_of_picture_is_upscaled_in_order_and_none_is_lost(tmp_path: Path) -> None:
    count = len(upscaling.KINDS)
    words = ["--count", str(count), "--side", "40", "--json", str(tmp_path / "figures.json")]
    assert upscaling.main(words) == 0
    told = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert told["images"] == count
    assert told["MiB"]["peak"] > 100


def test_pictures_that_are_lost_changed_or_out_of_order_are_found(tmp_path: Path) -> None:
    made = upscaling.paint(tmp_path / "pictures", 4, 20)
    out = tmp_path / "larger"
    out.mkdir()
    for name in reversed(made):
        (out / f"{Path(name).stem}.png").write_bytes((tmp_path / "pictures" / name).read_bytes())
    first = next(iter(made))
    (out / f"{Path(first).stem}.png").unlink()
    told = upscaling.faults(out, made)
    assert told[0] == f"{first} has no output"
    assert sum("has size, channels and bits" in fault for fault in told) == 3
    assert "the outputs were not written in the order of their names" in told
