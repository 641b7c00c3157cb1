"""A store is made once, by one process, where it may be, and made anew for other content."""

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


def test_a_second_start_decodes_nothing(hr_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert sorted(decoded) == first.names
    second = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert len(decoded) == 4
    assert second.digest == first.digest


def test_other_content_makes_another_store(hr_folder: Path, tmp_path: Path, noise: Noise) -> None:
    first = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    stamp = (hr_folder / "a.png").stat()
    Image.fromarray(noise(40, 56, seed=77)).save(hr_folder / "a.png")
    os.utime(hr_folder / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the time of a file proves nothing
    second = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert np.array_equal(second.hr(0), noise(40, 56, seed=77))
    assert second.digest != first.digest
    assert [a == b for a, b in zip(first.digests, second.digests, strict=True)] == [False, True, True, True]


def test_a_new_lr_file_makes_a_new_store(tmp_path: Path, noise: Noise) -> None:
    for folder, size in (("HR", (8, 8)), ("LR_bicubic/X2", (4, 4))):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(noise(*size)).save(tmp_path / folder / "a.png")
    build_store(Paired(str(tmp_path)), 2, tmp_path / "c")
    Image.fromarray(noise(4, 4, seed=5)).save(tmp_path / "LR_bicubic" / "X2" / "a.png")
    assert np.array_equal(build_store(Paired(str(tmp_path)), 2, tmp_path / "c").lr(0), noise(4, 4, seed=5))


def test_the_store_lies_beside_the_pictures_by_default(hr_folder: Path) -> None:
    assert build_store(Folder(str(hr_folder)), 2).folder.parent == hr_folder / ".upnet"


def test_pictures_that_may_not_be_written_to_are_decoded_into_the_users_cache(
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


def test_a_cache_dir_that_cannot_be_made_is_refused(hr_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written to .*file/c. Name a writable folder by data\.cache_dir"):
        build_store(Folder(str(hr_folder)), 2, tmp_path / "file" / "c")


def test_of_two_processes_one_builds_and_the_other_waits(hr_folder: Path, tmp_path: Path) -> None:
    both = multiprocessing.get_context("fork").Barrier(2)
    read = FileEntry.read

    def waiting(number: int) -> bool:
        told = tmp_path / f"told{number}.txt"
        return told.exists() and "Waiting for another process" in told.read_text()

    def run(number: int) -> None:
        logging.basicConfig(filename=tmp_path / f"told{number}.txt", level=logging.INFO, force=True)

        def counted(entry: FileEntry, max_pixels: int | None = None) -> np.ndarray:
            with (tmp_path / "decoded.txt").open("a") as file:
                file.write(f"{entry.name}\n")
            end = time.monotonic() + 60  # the other one comes late where the machine is busy
            while not any(waiting(other) for other in range(2)) and time.monotonic() < end:
                time.sleep(0.01)
            return read(entry)

        FileEntry.read = counted  # pyright: ignore[reportAttributeAccessIssue]
        both.wait(60)
        build_store(Folder(str(hr_folder)), 2, tmp_path / "c")

    processes = [forked(lambda number=number: run(number)) for number in range(2)]
    assert [code(process) for process in processes] == [0, 0]
    assert sorted((tmp_path / "decoded.txt").read_text().split()) == ["a", "b", "c", "more/d"]
    assert sorted(waiting(number) for number in range(2)) == [False, True]
    (folder,) = stores(tmp_path / "c")
    Store(folder).verify()


def test_a_killed_builder_leaves_no_lock_behind(
    hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = build_store(Folder(str(hr_folder)), 2, tmp_path / "c").folder
    shutil.rmtree(lock)
    lock = lock.with_name(f"{lock.name}.lock")
    hold = (
        "import pathlib, sys, time; from upnet.utils.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), lambda: None): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(lock)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with caplog.at_level(logging.INFO, "upnet.data"), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(build_store, Folder(str(hr_folder)), 2, tmp_path / "c")
        time.sleep(0.3)
        assert not waiting.done()
        holder.kill()
        holder.wait()
        holder.stdout.close()
        assert len(waiting.result(timeout=30)) == 4
    assert "Waiting for another process" in caplog.text


def test_what_a_killed_build_left_is_cleared_away(hr_folder: Path, tmp_path: Path) -> None:
    store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    shutil.rmtree(store.folder)
    part = store.folder.with_name(f"{store.folder.name}.part")
    part.mkdir()
    (part / "pictures.bin").write_bytes(b"half")
    again: Store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert stores(tmp_path / "c") == [again.folder]
    again.verify()


def test_a_source_that_is_refused_leaves_nothing_and_takes_nothing_away(hr_folder: Path, tmp_path: Path) -> None:
    (hr_folder / "z.png").write_bytes(b"no image")
    (tmp_path / "standing").mkdir()
    for cache in (tmp_path / "standing", tmp_path / "new/deep"):
        with pytest.raises(BrokenImageError):
            build_store(Folder(str(hr_folder)), 2, cache)
    assert (tmp_path / "standing").is_dir()
    assert not list((tmp_path / "standing").iterdir())
    assert not (tmp_path / "new").exists()
