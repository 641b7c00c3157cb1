"""Building a store: unreadable images are rejected or skipped, and a failed build leaves no files."""

import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import code, forked, remount, stores

from upnet.data import Folder, build_store
from upnet.data.sources.files import FileEntry
from upnet.imaging.reading import BrokenImageError
from upnet.utils.errors import RunError

Noise = Callable[..., np.ndarray]


def test_a_truncated_image_stops_the_build_and_leaves_no_files(hr_folder: Path, tmp_path: Path) -> None:
    (hr_folder / "b.png").write_bytes((hr_folder / "b.png").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an? (image|picture): .*data\.skip_broken=true"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_skip_broken_skips_and_lists_unreadable_images(
    hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, decoded: list[str]
) -> None:
    (hr_folder / "b.png").write_bytes((hr_folder / "b.png").read_bytes()[:900])
    (hr_folder / "c.png").write_bytes(b"")
    for build in range(2):  # the second build reads the list of skipped images
        caplog.clear()
        with caplog.at_level(logging.WARNING, "upnet.data"):
            store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c", skip_broken=True)
        assert store.names == ["a", "more/d"]
        assert [name for name, _ in store.skipped] == ["b", "c"]
        assert "2 of 4 images are skipped" in caplog.text
        assert "b.png" in caplog.text
        assert "c.png" in caplog.text
        assert len(decoded) == 4, build
    with pytest.raises(ValueError, match=r"b\.png"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")


def test_a_source_without_readable_images_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"none of its 1 images can be read.*a\.png"):
        build_store(Folder(str(tmp_path / "p")), 2, tmp_path / "c", skip_broken=True)


def test_an_image_smaller_than_one_lr_pixel_is_rejected(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "p").mkdir()
    Image.fromarray(noise(3, 9)).save(tmp_path / "p" / "thin.png")
    with pytest.raises(ValueError, match="thin: an image of 3×9 pixels is too small for scale 4"):
        build_store(Folder(str(tmp_path / "p")), 4, tmp_path / "c")


def test_a_full_disk_is_reported_and_leaves_no_partial_store(hr_folder: Path, tmp_path: Path, disk: Path) -> None:
    remount(disk, "size=16k")
    with pytest.raises(RunError, match=r"cannot be written to .*c: No space left on device. Choose a folder"):
        build_store(Folder(str(hr_folder)), 2, disk / "c")
    assert stores(disk / "c") == []
    remount(disk, "size=1m")
    build_store(Folder(str(hr_folder)), 2, disk / "c").verify()


def test_a_store_is_synced_to_disk_before_it_is_renamed(
    hr_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def record_fsync(handle: int) -> None:
        calls.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")
        fsync(handle)

    def record_rename(path: Path, target: Path) -> Path:
        calls.append(f"rename {path.suffix}")
        return rename(path, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("only Linux gives the name of an open file")
    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "rename", record_rename)
    build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert calls == ["sync pictures.bin", "sync index.json", "rename .part"]


def test_a_file_size_limit_is_reported_and_leaves_no_partial_store(hr_folder: Path, tmp_path: Path) -> None:
    def build_with_file_size_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(RunError, match=r"cannot be written to .*c: File too large. Choose a folder"):
            build_store(Folder(str(hr_folder)), 2, tmp_path / "c")

    assert code(forked(build_with_file_size_limit)) == 0
    assert stores(tmp_path / "c") == []


def test_an_image_deleted_during_the_build_is_reported(
    hr_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute_digest = FileEntry.compute_digest

    def compute_then_delete(entry: FileEntry) -> str:
        digest = compute_digest(entry)
        if entry.name == "b":
            entry.path.unlink()
        return digest

    monkeypatch.setattr(FileEntry, "compute_digest", compute_then_delete)
    with pytest.raises(ValueError, match=r"b\.png cannot be read.*data\.skip_broken=true"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert stores(tmp_path / "c") == []


def test_an_image_over_max_pixels_is_rejected_until_the_limit_is_raised(hr_folder: Path, tmp_path: Path) -> None:
    largest = max(height * width for height, width in build_store(Folder(str(hr_folder)), 1, tmp_path / "c").sizes)
    with pytest.raises(BrokenImageError, match=rf"more than max_pixels={largest - 1}. Raise max_pixels="):
        build_store(Folder(str(hr_folder)), 1, tmp_path / "d", max_pixels=largest - 1)
    store = build_store(Folder(str(hr_folder)), 1, tmp_path / "d", skip_broken=True, max_pixels=largest - 1)
    assert store.skipped
    for skip_broken in (True, False):
        assert len(build_store(Folder(str(hr_folder)), 1, tmp_path / "d", skip_broken, largest)) == 4
