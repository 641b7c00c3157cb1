"""Image files are written atomically and completely."""

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

SLOW_WRITER = """
import signal, sys, time
from pathlib import Path
from upnet.utils.atomic_io import open_atomic
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore SIGINT
with open_atomic(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_an_error_during_writing_keeps_the_previous_file(tmp_path: Path) -> None:
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


def test_a_file_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations: list[str] = []
    sync, replace = os.fsync, os.replace

    def record_sync(handle: int) -> None:
        operations.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).suffix or 'folder'}")
        sync(handle)

    def record_rename(source: Path, target: Path) -> None:
        operations.append(f"rename {source.suffix}")
        replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux provides the name of an open file")
    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_rename)
    with open_atomic(tmp_path / "a.png") as file:
        file.write(b"whole")
    assert operations == ["sync .part", "rename .part", "sync folder"]


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX signals")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_process_leaves_no_image_file(tmp_path: Path, signal_number: signal.Signals) -> None:
    command = [sys.executable, "-c", SLOW_WRITER, str(tmp_path / "a.png")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        time.sleep(0.1)
        process.send_signal(signal_number)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()
    remaining = list(tmp_path.iterdir())
    assert len(remaining) == (1 if signal_number == signal.SIGKILL else 0)
    assert not any(is_image_file(path) for path in remaining)


def test_a_link_is_replaced_and_its_target_is_kept(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"before")
    (tmp_path / "a.png").symlink_to(tmp_path / "precious")
    write_image(RasterImage(np.zeros((3, 4), np.uint8)), tmp_path / "a.png")
    assert not (tmp_path / "a.png").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"before"


def test_a_file_name_of_maximum_length_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    write_image(RasterImage(np.zeros((3, 4), np.uint8)), path)
    assert Image.open(path).size == (4, 3)


def test_a_file_gets_default_permissions(tmp_path: Path) -> None:
    write_image(RasterImage(np.zeros((3, 4), np.uint8)), tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b.png").stat().st_mode


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".jpg", ".webp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_supported_channels_and_depths_are_written_and_read_exactly(
    tmp_path: Path, suffix: str, channels: int, dtype: type
) -> None:
    if (dtype == np.uint16 or channels in (2, 4)) and suffix.lower() not in (".png", ".tif", ".tiff"):
        pytest.skip("the format supports neither alpha nor 16 bits")
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    samples = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)
    write_image(RasterImage(samples), tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}").samples
    if suffix in (".jpg", ".webp"):
        assert read.shape == (shape if suffix == ".jpg" else (5, 7, 3))
    else:
        assert read.dtype == dtype
        assert np.array_equal(read, samples)
