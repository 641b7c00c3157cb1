"""The cache of stores: one process builds a store once, in a writable folder, and builds it again for new content."""

import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import code, forked, stores

from upnet.data import Folder, Paired, Store, build_store
from upnet.data.sources.files import FileEntry
from upnet.imaging.reading import BrokenImageError

Noise = Callable[..., np.ndarray]


def test_an_unchanged_source_is_not_decoded_again(hr_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert sorted(decoded) == first.names
    second = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert len(decoded) == 4
    assert second.digest == first.digest


def test_changed_pixels_make_a_new_store_despite_the_same_mtime(hr_folder: Path, tmp_path: Path, noise: Noise) -> None:
    first = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    stat = (hr_folder / "a.png").stat()
    Image.fromarray(noise(40, 56, seed=77)).save(hr_folder / "a.png")
    os.utime(hr_folder / "a.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the mtime stays the same
    second = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert np.array_equal(second.hr(0), noise(40, 56, seed=77))
    assert second.digest != first.digest
    assert [a == b for a, b in zip(first.digests, second.digests, strict=True)] == [False, True, True, True]


def test_a_changed_lr_file_makes_a_new_store(tmp_path: Path, noise: Noise) -> None:
    for folder, size in (("HR", (8, 8)), ("LR_bicubic/X2", (4, 4))):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(noise(*size)).save(tmp_path / folder / "a.png")
    build_store(Paired(str(tmp_path)), 2, tmp_path / "c")
    Image.fromarray(noise(4, 4, seed=5)).save(tmp_path / "LR_bicubic" / "X2" / "a.png")
    assert np.array_equal(build_store(Paired(str(tmp_path)), 2, tmp_path / "c").lr(0), noise(4, 4, seed=5))


def test_the_store_is_written_into_the_image_folder_by_default(hr_folder: Path) -> None:
    assert build_store(Folder(str(hr_folder)), 2).folder.parent == hr_folder / ".upnet"


def test_the_store_of_a_read_only_folder_is_written_into_the_user_cache(
    hr_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hr_folder.chmod(0o555)
    try:
        with caplog.at_level(logging.INFO, "upnet.data"):
            store = build_store(Folder(str(hr_folder)), 2)
    finally:
        hr_folder.chmod(0o755)
    assert store.folder.parent == tmp_path / "cache" / "upnet"
    assert caplog.text.count("cannot be written") == 1


def test_a_cache_dir_that_cannot_be_created_is_rejected(hr_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written to .*file/c. Name a writable folder by data\.cache_dir"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "file" / "c")


def test_one_of_two_processes_builds_while_the_other_waits(hr_folder: Path, tmp_path: Path) -> None:
    barrier = multiprocessing.get_context("fork").Barrier(2)
    read = FileEntry.read

    def is_waiting(number: int) -> bool:
        log = tmp_path / f"log{number}.txt"
        return log.exists() and "Waiting for another process" in log.read_text()

    def build(number: int) -> None:
        logging.basicConfig(filename=tmp_path / f"log{number}.txt", level=logging.INFO, force=True)

        def read_and_wait(entry: FileEntry, max_pixels: int | None = None) -> np.ndarray:
            with (tmp_path / "decoded.txt").open("a") as file:
                file.write(f"{entry.name}\n")
            deadline = time.monotonic() + 60  # the other process is slow on a busy machine
            while not any(is_waiting(other) for other in range(2)) and time.monotonic() < deadline:
                time.sleep(0.01)
            return read(entry)

        FileEntry.read = read_and_wait  # pyright: ignore[reportAttributeAccessIssue]
        barrier.wait(60)
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")

    processes = [forked(lambda number=number: build(number)) for number in range(2)]
    assert [code(process) for process in processes] == [0, 0]
    assert sorted((tmp_path / "decoded.txt").read_text().split()) == ["a", "b", "c", "more/d"]
    assert sorted(is_waiting(number) for number in range(2)) == [False, True]
    (folder,) = stores(tmp_path / "c")
    Store(folder).verify()


def test_a_killed_process_releases_its_lock(hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = build_store(Folder(str(hr_folder)), 2, tmp_path / "c").folder
    shutil.rmtree(folder)
    lock = folder.with_name(f"{folder.name}.lock")
    script = (
        "import pathlib, sys, time; from upnet.utils.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), lambda: None): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(lock)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with caplog.at_level(logging.INFO, "upnet.data"), ThreadPoolExecutor(1) as pool:
        pending_store = pool.submit(build_store, Folder(str(hr_folder)), 2, tmp_path / "c")
        time.sleep(0.3)
        assert not pending_store.done()
        holder.kill()
        holder.wait()
        holder.stdout.close()
        assert len(pending_store.result(timeout=30)) == 4
    assert "Waiting for another process" in caplog.text


def test_the_partial_files_of_a_killed_build_are_removed(hr_folder: Path, tmp_path: Path) -> None:
    store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    shutil.rmtree(store.folder)
    part = store.folder.with_name(f"{store.folder.name}.part")
    part.mkdir()
    (part / "pictures.bin").write_bytes(b"half")
    rebuilt: Store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert stores(tmp_path / "c") == [rebuilt.folder]
    rebuilt.verify()


def test_a_rejected_source_creates_and_removes_no_folders(hr_folder: Path, tmp_path: Path) -> None:
    (hr_folder / "z.png").write_bytes(b"no image")
    (tmp_path / "existing").mkdir()
    for cache in (tmp_path / "existing", tmp_path / "new/deep"):
        with pytest.raises(BrokenImageError):
            build_store(Folder(str(hr_folder)), 2, cache)
    assert (tmp_path / "existing").is_dir()
    assert not list((tmp_path / "existing").iterdir())
    assert not (tmp_path / "new").exists()
