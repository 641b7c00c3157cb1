"""A name stands for a whole file or for none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from upnet.imaging.image import RasterImage
from upnet.imaging.reading import is_image_file, read_image
from upnet.imaging.writing import write_image
from upnet.utils.atomic_io import open_atomic

SLOW = """
import signal, sys, time
from pathlib import Path
from upnet.utils.atomic_io import open_atomic
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it switched off
with open_atomic(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_fault_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"before")

    def fail() -> None:
        with open_atomic(tmp_path / "a.png") as file:
            file.write(b"half")
            assert (tmp_path / "a.png").read_bytes() == b"before"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"before"


def test_a_picture_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        told.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).suffix or 'folder'}")
        sync(handle)

    def replaced(one: Path, other: Path) -> None:
        told.append(f"rename {one.suffix}")
        replace(one, other)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux tells the name of an open file")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    with open_atomic(tmp_path / "a.png") as file:
        file.write(b"whole")
    assert told == ["sync .part", "rename .part", "sync folder"]


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_leaves_no_file_of_that_name(tmp_path: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", SLOW, str(tmp_path / "a.png")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        time.sleep(0.1)
        process.send_signal(number)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()
    left = list(tmp_path.iterdir())
    assert len(left) == (1 if number == signal.SIGKILL else 0)
    assert not any(is_image_file(path) for path in left)


def test_a_link_of_that_name_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"before")
    (tmp_path / "a.png").symlink_to(tmp_path / "precious")
    write_image(RasterImage(np.zeros((3, 4), np.uint8)), tmp_path / "a.png")
    assert not (tmp_path / "a.png").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"before"


def test_a_long_name_is_no_longer_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    write_image(RasterImage(np.zeros((3, 4), np.uint8)), path)
    assert Image.open(path).size == (4, 3)


def test_a_file_gets_the_rights_that_others_of_its_user_get(tmp_path: Path) -> None:
    write_image(RasterImage(np.zeros((3, 4), np.uint8)), tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b.png").stat().st_mode


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".jpg", ".webp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_a_format_holds_comes_back(tmp_path: Path, suffix: str, channels: int, dtype: type) -> None:
    if (dtype == np.uint16 or channels in (2, 4)) and suffix.lower() not in (".png", ".tif", ".tiff"):
        pytest.skip("it holds neither")
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    samples = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)
    write_image(RasterImage(samples), tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}").samples
    if suffix in (".jpg", ".webp"):
        assert read.shape == (shape if suffix == ".jpg" else (5, 7, 3))
    else:
        assert read.dtype == dtype
        assert np.array_equal(read, samples)
