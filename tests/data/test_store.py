"""The store: what it holds, when it is made anew, and that it is whole or absent."""

import logging
import multiprocessing
import os
import pickle
import resource
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
from support import code, forked, remount

from upnet.data import BrokenPictureError, Folder, Paired, Store, build
from upnet.data.lock import _try_lock, locked
from upnet.data.sources.files import FileEntry
from upnet.data.store import FORMAT
from upnet.imresize import imresize

Noise = Callable[..., np.ndarray]


def _stores(cache: Path) -> list[Path]:
    return sorted(path for path in cache.glob("*") if path.is_dir())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures decoded since."""
    names: list[str] = []
    read = FileEntry.read

    def counted(entry: FileEntry, max_pixels: int | None = None) -> np.ndarray:
        names.append(entry.name)
        return read(entry, max_pixels)

    monkeypatch.setattr(FileEntry, "read", counted)
    return names


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_hr_is_cropped_to_the_scale_and_lr_is_its_reduction(hr_folder: Path, tmp_path: Path, scale: int) -> None:
    store = build(Folder(str(hr_folder)), scale, tmp_path / "c")
    assert store.names == ["a", "b", "c", "more/d"]
    for index, name in enumerate(store.names):
        whole = np.asarray(Image.open(hr_folder / f"{name}.png"))
        height, width = (side // scale * scale for side in whole.shape[:2])
        assert store.sizes[index] == (height, width)
        assert np.array_equal(store.hr(index), whole[:height, :width])
        assert np.array_equal(store.lr(index), imresize(whole[:height, :width], 1 / scale, border="symmetric"))


def test_views_cannot_be_written(hr_folder: Path, tmp_path: Path) -> None:
    store = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    with pytest.raises(ValueError, match="read-only"):
        store.lr(0)[0, 0, 0] = 1


def test_a_second_start_decodes_nothing(hr_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert sorted(decoded) == first.names
    second = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert len(decoded) == 4
    assert second.digest == first.digest


def test_other_content_makes_another_store(hr_folder: Path, tmp_path: Path, noise: Noise) -> None:
    first = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    stamp = (hr_folder / "a.png").stat()
    Image.fromarray(noise(40, 56, seed=77)).save(hr_folder / "a.png")
    os.utime(hr_folder / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # the time of a file proves nothing
    second = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert np.array_equal(second.hr(0), noise(40, 56, seed=77))
    assert second.digest != first.digest
    assert [a == b for a, b in zip(first.digests, second.digests, strict=True)] == [False, True, True, True]


def test_the_digest_depends_on_pixels_and_not_on_files(hr_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in hr_folder.rglob("*.png"):
        target = copy / path.relative_to(hr_folder).with_suffix(".bmp")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    one, other = (build(Folder(str(root)), 2, tmp_path / "c") for root in (hr_folder, copy))
    assert one.folder != other.folder
    assert (one.digest, one.digests) == (other.digest, other.digests)


def test_the_number_of_workers_changes_nothing(hr_folder: Path, tmp_path: Path) -> None:
    stores = [build(Folder(str(hr_folder)), 2, tmp_path / f"c{workers}", workers=workers) for workers in (1, 2, 5)]
    contents = {(store.folder / "pictures.bin").read_bytes() for store in stores}
    assert len(contents) == 1


def _cut(folder: Path) -> None:
    with (folder / "pictures.bin").open("r+b") as file:
        file.truncate(100)


def _flip(folder: Path) -> None:
    with (folder / "pictures.bin").open("r+b") as file:
        file.seek(50)
        byte = file.read(1)[0]
        file.seek(50)
        file.write(bytes([byte ^ 1]))
    os.utime(folder / "pictures.bin")


def _edit_index(folder: Path) -> None:
    index = folder / "index.json"
    index.write_text(index.read_text().replace("more/d", "more/e"))


def _other_format(folder: Path) -> None:
    index = folder / "index.json"
    index.write_text(index.read_text().replace(f'"format": {FORMAT}', '"format": 999'))


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _flip,
        _edit_index,
        _other_format,
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "pictures.bin").unlink(),
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_store_is_made_again_with_a_sentence(
    hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    first = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    content = (first.folder / "pictures.bin").read_bytes()
    damage(first.folder)
    with caplog.at_level(logging.WARNING, "upnet.data"):
        second = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert "damaged and will be made again" in caplog.text
    assert (second.folder / "pictures.bin").read_bytes() == content
    assert second.digest == first.digest
    assert second.names == ["a", "b", "c", "more/d"]


def test_a_copied_store_is_verified_and_used(hr_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    shutil.copytree(tmp_path / "c", tmp_path / "d", copy_function=shutil.copyfile)
    second = build(Folder(str(hr_folder)), 2, tmp_path / "d")
    assert len(decoded) == 4
    assert second.folder.parent == tmp_path / "d"
    assert np.array_equal(second.hr(3), first.hr(3))


def test_a_store_travels_to_another_process(hr_folder: Path, tmp_path: Path) -> None:
    store = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    sent = pickle.dumps(store)
    assert len(sent) < 1000  # the way to it, not the pictures
    assert np.array_equal(pickle.loads(sent).hr(2), store.hr(2))


def test_a_truncated_picture_stops_the_build_and_leaves_nothing(hr_folder: Path, tmp_path: Path) -> None:
    (hr_folder / "b.png").write_bytes((hr_folder / "b.png").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"b\.png cannot be read as a picture: .*data\.skip_broken=true"):
        build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_broken_pictures_are_left_out_on_request_and_listed(
    hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, decoded: list[str]
) -> None:
    (hr_folder / "b.png").write_bytes((hr_folder / "b.png").read_bytes()[:900])
    (hr_folder / "c.png").write_bytes(b"")
    for start in range(2):  # the second start knows without decoding
        caplog.clear()
        with caplog.at_level(logging.WARNING, "upnet.data"):
            store = build(Folder(str(hr_folder)), 2, tmp_path / "c", skip_broken=True)
        assert store.names == ["a", "more/d"]
        assert [name for name, _ in store.left_out] == ["b", "c"]
        assert "2 of 4 pictures left out" in caplog.text
        assert "b.png" in caplog.text
        assert "c.png" in caplog.text
        assert len(decoded) == 4, start
    with pytest.raises(ValueError, match=r"b\.png"):
        build(Folder(str(hr_folder)), 2, tmp_path / "c")


def test_a_source_of_broken_pictures_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"none of its 1 pictures can be read.*a\.png"):
        build(Folder(str(tmp_path / "p")), 2, tmp_path / "c", skip_broken=True)


def test_a_picture_smaller_than_one_lr_pixel_is_named(tmp_path: Path, noise: Noise) -> None:
    (tmp_path / "p").mkdir()
    Image.fromarray(noise(3, 9)).save(tmp_path / "p" / "thin.png")
    with pytest.raises(ValueError, match="thin: a picture of 3×9 pixels is too small for scale 4"):
        build(Folder(str(tmp_path / "p")), 4, tmp_path / "c")


def test_a_new_lr_file_makes_a_new_store(tmp_path: Path, noise: Noise) -> None:
    for folder, size in (("HR", (8, 8)), ("LR_bicubic/X2", (4, 4))):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(noise(*size)).save(tmp_path / folder / "a.png")
    build(Paired(str(tmp_path)), 2, tmp_path / "c")
    Image.fromarray(noise(4, 4, seed=5)).save(tmp_path / "LR_bicubic" / "X2" / "a.png")
    assert np.array_equal(build(Paired(str(tmp_path)), 2, tmp_path / "c").lr(0), noise(4, 4, seed=5))


def test_the_store_lies_beside_the_pictures_by_default(hr_folder: Path) -> None:
    assert build(Folder(str(hr_folder)), 2).folder.parent == hr_folder / ".upnet"


def test_pictures_that_may_not_be_written_to_are_decoded_into_the_users_cache(
    hr_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    hr_folder.chmod(0o555)
    try:
        with caplog.at_level(logging.INFO, "upnet.data"):
            store = build(Folder(str(hr_folder)), 2)
    finally:
        hr_folder.chmod(0o755)
    assert store.folder.parent == tmp_path / "cache" / "upnet"
    assert caplog.text.count("cannot be written") == 1


def test_a_cache_dir_that_cannot_be_made_is_refused(hr_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written to .*file/c; name a writable folder by data\.cache_dir"):
        build(Folder(str(hr_folder)), 2, tmp_path / "file" / "c")


def test_of_two_processes_one_builds_and_the_other_waits(hr_folder: Path, tmp_path: Path) -> None:
    both = multiprocessing.get_context("fork").Barrier(2)
    read = FileEntry.read

    def run(number: int) -> None:
        logging.basicConfig(filename=tmp_path / f"told{number}.txt", level=logging.INFO, force=True)

        def counted(entry: FileEntry, max_pixels: int | None = None) -> np.ndarray:
            with (tmp_path / "decoded.txt").open("a") as file:
                file.write(f"{entry.name}\n")
            time.sleep(0.1)
            return read(entry)

        FileEntry.read = counted  # pyright: ignore[reportAttributeAccessIssue]
        both.wait(60)
        build(Folder(str(hr_folder)), 2, tmp_path / "c")

    processes = [forked(lambda number=number: run(number)) for number in range(2)]
    assert [code(process) for process in processes] == [0, 0]
    assert sorted((tmp_path / "decoded.txt").read_text().split()) == ["a", "b", "c", "more/d"]
    told = [(tmp_path / f"told{number}.txt").read_text() for number in range(2)]
    assert sorted("Waiting for another process" in text for text in told) == [False, True]
    (folder,) = _stores(tmp_path / "c")
    Store(folder).verify()


def test_a_full_disk_is_told_and_leaves_nothing_half(hr_folder: Path, tmp_path: Path, disk: Path) -> None:
    remount(disk, "size=16k")
    with pytest.raises(ValueError, match=r"cannot be written to .*c: No space left on device; name a folder with room"):
        build(Folder(str(hr_folder)), 2, disk / "c")
    assert _stores(disk / "c") == []
    remount(disk, "size=1m")
    build(Folder(str(hr_folder)), 2, disk / "c").verify()


def test_a_limit_of_the_size_of_files_is_told_and_leaves_nothing_half(hr_folder: Path, tmp_path: Path) -> None:
    def run() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(ValueError, match=r"cannot be written to .*c: File too large; name a folder with room"):
            build(Folder(str(hr_folder)), 2, tmp_path / "c")

    assert code(forked(run)) == 0
    assert _stores(tmp_path / "c") == []


def test_a_picture_that_disappears_while_a_store_is_made_is_named(
    hr_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = FileEntry.hash

    def then_gone(entry: FileEntry) -> str:
        told = honest(entry)
        if entry.name == "b":
            entry.path.unlink()
        return told

    monkeypatch.setattr(FileEntry, "hash", then_gone)
    with pytest.raises(ValueError, match=r"b\.png cannot be read.*data\.skip_broken=true"):
        build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert _stores(tmp_path / "c") == []


def test_a_killed_builder_leaves_no_lock_behind(
    hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = build(Folder(str(hr_folder)), 2, tmp_path / "c").folder
    shutil.rmtree(lock)
    lock = lock.with_name(f"{lock.name}.lock")
    hold = (
        "import pathlib, sys, time; from upnet.data.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), lambda: None): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(lock)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with caplog.at_level(logging.INFO, "upnet.data"), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(build, Folder(str(hr_folder)), 2, tmp_path / "c")
        time.sleep(0.3)
        assert not waiting.done()
        holder.kill()
        holder.wait()
        holder.stdout.close()
        assert len(waiting.result(timeout=30)) == 4
    assert "Waiting for another process" in caplog.text


def test_what_a_killed_build_left_is_cleared_away(hr_folder: Path, tmp_path: Path) -> None:
    store = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    shutil.rmtree(store.folder)
    part = store.folder.with_name(f"{store.folder.name}.part")
    part.mkdir()
    (part / "pictures.bin").write_bytes(b"half")
    again: Store = build(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert _stores(tmp_path / "c") == [again.folder]
    again.verify()


def test_a_picture_that_is_too_large_is_refused_until_the_limit_is_raised(hr_folder: Path, tmp_path: Path) -> None:
    largest = max(height * width for height, width in build(Folder(str(hr_folder)), 1, tmp_path / "c").sizes)
    with pytest.raises(BrokenPictureError, match=rf"max_pixels={largest - 1} allows no more.*raise max_pixels="):
        build(Folder(str(hr_folder)), 1, tmp_path / "d", max_pixels=largest - 1)
    without = build(Folder(str(hr_folder)), 1, tmp_path / "d", skip_broken=True, max_pixels=largest - 1)
    assert without.left_out
    for skip_broken in (True, False):
        assert len(build(Folder(str(hr_folder)), 1, tmp_path / "d", skip_broken, largest)) == 4


def test_a_source_that_is_refused_leaves_nothing_and_takes_nothing_away(hr_folder: Path, tmp_path: Path) -> None:
    (hr_folder / "z.png").write_bytes(b"no picture")
    (tmp_path / "standing").mkdir()
    for cache in (tmp_path / "standing", tmp_path / "new/deep"):
        with pytest.raises(BrokenPictureError):
            build(Folder(str(hr_folder)), 2, cache)
    assert (tmp_path / "standing").is_dir()
    assert not list((tmp_path / "standing").iterdir())
    assert not (tmp_path / "new").exists()


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    """Else two processes would hold a lock each: one on the file that is gone, one on the next of that name."""
    path, waits = tmp_path / "a.lock", []
    with path.open("a+b") as gone:
        assert _try_lock(gone)

        def replaced() -> None:
            waits.append(1)
            path.unlink()
            gone.close()

        with locked(path, replaced), path.open("a+b") as other:
            assert waits == [1]
            assert not _try_lock(other)
