"""Unpacking: images are unpacked unchanged; archives that try to write outside the target folder are rejected."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.data.catalogue.archive_members import UnsafeArchiveError
from upnet.data.catalogue.archives import DownloadError
from upnet.data.catalogue.unpack import unpack

Pack = Callable[[Path, dict[str, bytes]], Path]


def image(seed: int = 0) -> bytes:
    """A small PNG of noise, which doesn't compress."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(params=[zipped, tarred])
def pack(request: pytest.FixtureRequest) -> Pack:
    return request.param


def list_paths(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_only_the_images_of_the_inner_folder_are_unpacked_unchanged(tmp_path: Path, pack: Pack) -> None:
    first_image, second_image = image(1), image(2)
    files = {
        "top/set/HR/a.png": first_image,
        "top/set/HR/deep/b.PNG": second_image,
        "top/set/HR/run.sh": b"#!/bin/sh",
        "top/set/HR/._a.png": b"macOS",
        "__MACOSX/set/HR/a.png": b"macOS",
        "top/set/LR/a.png": image(3),
    }
    target = tmp_path / "new" / "folder"
    assert unpack(pack(tmp_path / "archive", files), "set/HR", target) == 2
    assert list_paths(target) == ["a.png", "deep", "deep/b.PNG"]
    assert (target / "a.png").read_bytes() == first_image
    assert (target / "deep/b.PNG").read_bytes() == second_image
    assert list_paths(tmp_path) == ["archive", "new", "new/folder", *(f"new/folder/{n}" for n in list_paths(target))]


def test_common_parent_folders_are_dropped_without_an_inner_folder(tmp_path: Path, pack: Pack) -> None:
    unpack(pack(tmp_path / "deep", {"x/y/a.png": image(), "x/y/z/b.png": image(1), "x/t.txt": b""}), "", tmp_path / "1")
    unpack(pack(tmp_path / "flat", {"a.png": image(), "b/b.png": image(1)}), "", tmp_path / "2")
    assert list_paths(tmp_path / "1") == ["a.png", "z", "z/b.png"]
    assert list_paths(tmp_path / "2") == ["a.png", "b", "b/b.png"]


@pytest.mark.parametrize(
    "name", ["../evil.png", "set/../../evil.png", "/tmp/evil.png", "C:/evil.png", "set\\..\\..\\evil.png", "C:evil.png"]
)
def test_a_path_outside_the_folder_is_rejected_before_any_write(tmp_path: Path, pack: Pack, name: str) -> None:
    (tmp_path / "in").mkdir()
    archive = pack(tmp_path / "in/archive", {"set/a.png": image(), name: image(1)})
    with pytest.raises(UnsafeArchiveError, match="leaves its folder"):
        unpack(archive, "set", tmp_path / "in/target")
    assert list_paths(tmp_path) == ["in", "in/archive"]


def tar_with_member(path: Path, modify: Callable[[tarfile.TarInfo], None]) -> Path:
    """A tar archive with an image and a second member, which `modify` changes."""
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("set/a.png")
        info.size = len(image())
        archive.addfile(info, io.BytesIO(image()))
        info = tarfile.TarInfo("set/b.png")
        modify(info)
        archive.addfile(info)
    return path


def link(kind: bytes, target: str) -> Callable[[tarfile.TarInfo], None]:
    def set_link(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, target

    return set_link


@pytest.mark.parametrize(
    "modify",
    [
        link(tarfile.SYMTYPE, "../../outside.png"),
        link(tarfile.SYMTYPE, "/etc/passwd"),
        link(tarfile.SYMTYPE, "a.png"),
        link(tarfile.LNKTYPE, "../../outside.png"),
        link(tarfile.LNKTYPE, "set/a.png"),
        link(tarfile.CHRTYPE, ""),
        link(tarfile.BLKTYPE, ""),
        link(tarfile.FIFOTYPE, ""),
    ],
    ids=["symlink out", "symlink to the root", "symlink", "hard link out", "hard link", "character", "block", "fifo"],
)
def test_links_and_devices_in_a_tar_are_rejected(tmp_path: Path, modify: Callable[[tarfile.TarInfo], None]) -> None:
    (tmp_path / "in").mkdir()
    archive = tar_with_member(tmp_path / "in/archive.tar", modify)
    with pytest.raises(UnsafeArchiveError):
        unpack(archive, "set", tmp_path / "in/target")
    assert list_paths(tmp_path) == ["in", "in/archive.tar"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_rejected(tmp_path: Path, kind: int) -> None:
    archive = zipped(tmp_path / "archive.zip", {"set/a.png": image()})
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("set/b.png")
        info.external_attr = (kind | 0o777) << 16
        opened.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="link or a device"):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive.zip"]


def test_file_permissions_of_the_archive_are_not_kept(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "archive.zip", {})
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = (stat.S_IFREG | 0o6777) << 16
        opened.writestr(info, image())

    def set_mode(info: tarfile.TarInfo) -> None:
        info.mode = 0o6777

    unpack(archive, "", tmp_path / "1")
    unpack(tar_with_member(tmp_path / "archive.tar", set_mode), "", tmp_path / "2")
    for path in (tmp_path / "1/a.png", tmp_path / "2/b.png"):
        assert not path.stat().st_mode & 0o7111


def test_a_high_compression_ratio_is_rejected_before_any_write(tmp_path: Path, pack: Pack) -> None:
    archive = pack(tmp_path / "archive", {"set/a.png": image(), "set/b.png": bytes(20_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(UnsafeArchiveError, match="20 times its size"):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive"]


def test_too_many_members_are_rejected_before_any_write(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path / "archive", {f"set/{number}.png": image() for number in range(3)})
    monkeypatch.setattr("upnet.data.catalogue.archive_members.MAX_MEMBERS", 2)
    with pytest.raises(UnsafeArchiveError, match="more than 2 files"):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive"]
    monkeypatch.setattr("upnet.data.catalogue.archive_members.MAX_MEMBERS", 3)
    assert unpack(archive, "set", tmp_path / "target") == 3


def test_a_zip_with_an_understated_size_is_rejected(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "archive.zip", {"set/b.png": bytes(20_000_000)})
    content = archive.read_bytes()
    actual_size, understated_size = (size.to_bytes(4, "little") for size in (20_000_000, 1000))
    assert content.count(actual_size) == 2
    archive.write_bytes(content.replace(actual_size, understated_size))
    with pytest.raises(DownloadError):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive.zip"]


def test_a_duplicate_member_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        for seed in (1, 2):
            info = tarfile.TarInfo("set/a.png")
            info.size = len(image(seed))
            archive.addfile(info, io.BytesIO(image(seed)))
    with pytest.raises(UnsafeArchiveError, match="twice"):
        unpack(path, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive.tar"]


@pytest.mark.parametrize("fraction", [0.3, 0.9])
def test_a_truncated_archive_is_reported_as_damaged(tmp_path: Path, pack: Pack, fraction: float) -> None:
    archive = pack(tmp_path / "archive", {f"set/{number}.png": image(number) for number in range(20)})
    archive.write_bytes(archive.read_bytes()[: int(fraction * archive.stat().st_size)])
    with pytest.raises(DownloadError, match="damaged"):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive"]


def test_a_tar_truncated_between_members_is_reported_as_damaged(tmp_path: Path) -> None:
    archive = tar_with_member(tmp_path / "archive.tar", lambda info: None)
    with tarfile.open(archive) as opened:
        boundary = opened.getmembers()[1].offset
    archive.write_bytes(archive.read_bytes()[:boundary])
    with pytest.raises(DownloadError, match="damaged"):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive.tar"]


def test_a_flipped_bit_in_a_zip_is_reported_as_damaged(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "archive.zip", {"set/a.png": image()})
    content = bytearray(archive.read_bytes())
    content[200] ^= 1
    archive.write_bytes(content)
    with pytest.raises(DownloadError, match="damaged"):
        unpack(archive, "set", tmp_path / "target")
    assert list_paths(tmp_path) == ["archive.zip"]


def test_other_files_and_missing_inner_folders_are_reported(tmp_path: Path, pack: Pack) -> None:
    (tmp_path / "page").write_bytes(b"<html>Not found</html>")
    with pytest.raises(DownloadError, match="not a zip or tar archive"):
        unpack(tmp_path / "page", "", tmp_path / "target")
    with pytest.raises(DownloadError, match="contains no images in a folder HR"):
        unpack(pack(tmp_path / "archive", {"LR/a.png": image()}), "HR", tmp_path / "target")


def test_partial_files_of_an_interrupted_unpacking_are_removed(tmp_path: Path, pack: Pack) -> None:
    archive = pack(tmp_path / "archive", {"set/a.png": image()})
    partial_folder = tmp_path / "archive.unpacking"
    partial_folder.mkdir()
    (partial_folder / "half.png").write_bytes(b"half")
    assert unpack(archive, "set", tmp_path / "target") == 1
    assert list_paths(tmp_path) == ["archive", "target", "target/a.png"]
