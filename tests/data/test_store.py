"""The store contains the HR and LR images; a damaged store is rebuilt."""

import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.data import Folder, build_store
from upnet.data.store import FORMAT
from upnet.imaging.imresize import imresize


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_hr_is_cropped_to_a_multiple_of_the_scale_and_lr_is_downscaled_from_it(
    hr_folder: Path, tmp_path: Path, scale: int
) -> None:
    store = build_store(Folder(str(hr_folder)), scale, tmp_path / "c")
    assert store.names == ["a", "b", "c", "more/d"]
    for index, name in enumerate(store.names):
        image = np.asarray(Image.open(hr_folder / f"{name}.png"))
        height, width = (side // scale * scale for side in image.shape[:2])
        assert store.sizes[index] == (height, width)
        assert np.array_equal(store.hr(index), image[:height, :width])
        assert np.array_equal(store.lr(index), imresize(image[:height, :width], 1 / scale, border="symmetric"))


def test_stored_images_are_read_only(hr_folder: Path, tmp_path: Path) -> None:
    store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    with pytest.raises(ValueError, match="read-only"):
        store.lr(0)[0, 0, 0] = 1


def test_the_digest_depends_on_pixels_and_not_on_file_formats(hr_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in hr_folder.rglob("*.png"):
        target = copy / path.relative_to(hr_folder).with_suffix(".bmp")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    png_store, bmp_store = (build_store(Folder(str(root)), 2, tmp_path / "c") for root in (hr_folder, copy))
    assert png_store.folder != bmp_store.folder
    assert (png_store.digest, png_store.digests) == (bmp_store.digest, bmp_store.digests)


def test_the_number_of_workers_does_not_affect_the_store(hr_folder: Path, tmp_path: Path) -> None:
    stores = [
        build_store(Folder(str(hr_folder)), 2, tmp_path / f"c{workers}", workers=workers) for workers in (1, 2, 5)
    ]
    contents = {(store.folder / "pictures.bin").read_bytes() for store in stores}
    assert len(contents) == 1


def _truncate(folder: Path) -> None:
    with (folder / "pictures.bin").open("r+b") as file:
        file.truncate(100)


def _truncate_keeping_mtime(folder: Path) -> None:
    stat = (folder / "pictures.bin").stat()
    _truncate(folder)
    os.utime(folder / "pictures.bin", ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _flip_bit(folder: Path) -> None:
    with (folder / "pictures.bin").open("r+b") as file:
        file.seek(50)
        byte = file.read(1)[0]
        file.seek(50)
        file.write(bytes([byte ^ 1]))
    os.utime(folder / "pictures.bin")


def _edit_index(folder: Path) -> None:
    index = folder / "index.json"
    index.write_text(index.read_text().replace("more/d", "more/e"))


def _change_format(folder: Path) -> None:
    index = folder / "index.json"
    index.write_text(index.read_text().replace(f'"format": {FORMAT}', '"format": 999'))


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _truncate_keeping_mtime,
        _flip_bit,
        _edit_index,
        _change_format,
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "pictures.bin").unlink(),
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_bytes(b"\xff\xfe"),
    ],
)
def test_a_damaged_store_is_rebuilt_with_a_warning(
    hr_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    first = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    content = (first.folder / "pictures.bin").read_bytes()
    damage(first.folder)
    with caplog.at_level(logging.WARNING, "upnet.data"):
        second = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    assert "damaged and will be decoded again" in caplog.text
    assert (second.folder / "pictures.bin").read_bytes() == content
    assert second.digest == first.digest
    assert second.names == ["a", "b", "c", "more/d"]


def test_a_copied_store_is_used_without_decoding(hr_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    shutil.copytree(tmp_path / "c", tmp_path / "d", copy_function=shutil.copyfile)
    second = build_store(Folder(str(hr_folder)), 2, tmp_path / "d")
    assert len(decoded) == 4
    assert second.folder.parent == tmp_path / "d"
    assert np.array_equal(second.hr(3), first.hr(3))


def test_a_pickled_store_contains_its_path_and_not_its_images(hr_folder: Path, tmp_path: Path) -> None:
    store = build_store(Folder(str(hr_folder)), 2, tmp_path / "c")
    pickled = pickle.dumps(store)
    assert len(pickled) < 1000  # its path, not the images
    assert np.array_equal(pickle.loads(pickled).hr(2), store.hr(2))
