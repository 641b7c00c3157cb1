"""Take the images out of an archive, whoever made it: nothing lands outside, and nothing but images does."""

import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from upnet.data.catalogue.download import DownloadError
from upnet.imaging.reading import is_image_file

EXPANSION = 20
"""How many times as large as its archive the content may be; images are compressed already, and come to about 1."""

SLACK = 1 << 20
"""Bytes that the content may always have."""

MOST = 200_000
"""Members that an archive may have."""

_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


class UnsafeArchiveError(DownloadError):
    """An archive that tries what no set of images does."""


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path, its size in bytes as the archive states it, and a way to read it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, part: str, target: Path) -> int:
    """Write the images that lie below the folder `part` of a zip or tar archive into `target`; how many they are.

    part:   the last names of a folder's path, wherever in the archive it lies; "" means all images, without the
            folders that they have in common.
    target: a folder that doesn't exist yet, on the archive's disk; it appears when all images are in it, not before.

    The whole archive is looked at before anything is written. Permissions, owners and times in it count for nothing.

    Raises UnsafeArchiveError for absolute paths, paths that lead upwards, links, devices, content that is far larger
    than the archive, and members that overwrite each other; DownloadError for a file that is no archive, is broken, or
    holds no images there.
    """
    aside = archive.with_name(f"{archive.name}.unpacking")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with _broken(archive), _opened(archive) as members:
            wanted = _wanted([member.path for member in _checked(archive, members())], part)
            if not wanted:
                raise DownloadError(f"{archive.name} holds no images" + f" in a folder {part}" * bool(part))
            aside.mkdir()
            _write(archive, members(), wanted, aside)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return len(wanted)


@contextmanager
def _opened(archive: Path) -> Iterator[Callable[[], Iterator[Member]]]:
    """What lists the members of the archive, as often as it is called."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield lambda: _of_zip(archive, opened)
    elif tarfile.is_tarfile(archive):
        if not hasattr(tarfile, "data_filter"):
            raise ValueError("tar archives are unpacked safely from Python 3.10.12, 3.11.4 or 3.12 on; use a newer one")
        with tarfile.open(archive) as opened:
            yield lambda: _of_tar(archive, opened)
    else:
        raise DownloadError(f"{archive.name} is no zip and no tar archive, or is broken at its start or end")


def _of_zip(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeArchiveError(f"{archive.name} holds a link or a device: {info.filename!r}; it was not unpacked")
        if not info.is_dir():
            yield Member(_path(archive, info.orig_filename), info.file_size, lambda info=info: opened.open(info))
        else:
            _path(archive, info.orig_filename)


def _of_tar(archive: Path, opened: tarfile.TarFile) -> Iterator[Member]:
    for info in opened:
        path = _path(archive, info.name)
        try:
            tarfile.data_filter(info, str(archive.parent))  # knows of more tricks than are listed here
        except tarfile.FilterError as error:
            raise UnsafeArchiveError(f"{archive.name} was not unpacked: {error}") from error
        if info.issym() or info.islnk() or not (info.isfile() or info.isdir()) or info.issparse():
            raise UnsafeArchiveError(f"{archive.name} holds a link or a device: {info.name!r}; it was not unpacked")
        if info.isfile():
            yield Member(path, info.size, lambda info=info: _content(opened, info))
    assert opened.fileobj is not None, "open until the end"
    opened.fileobj.seek(opened.offset)
    if not opened.fileobj.read(tarfile.BLOCKSIZE):  # tarfile is content with an archive that was cut between members
        raise DownloadError(f"{archive.name} is broken: it has no end")


def _content(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(info)
    assert content is not None, "only files are asked for"
    return content


def _path(archive: Path, name: str) -> PurePosixPath:
    """A member's path. Raises UnsafeArchiveError for one that might lead out of the folder, on any system."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00-\x1f]", name):
        raise UnsafeArchiveError(f"{archive.name} holds a path that leads elsewhere: {name!r}; it was not unpacked")
    return path


def _checked(archive: Path, members: Iterator[Member]) -> Iterator[Member]:
    """The members, as long as there aren't too many of them, nor too much in them."""
    most = EXPANSION * archive.stat().st_size + SLACK
    total = 0
    for count, member in enumerate(members, 1):
        total += member.size
        if total > most:
            raise UnsafeArchiveError(
                f"{archive.name} would unpack to more than {EXPANSION} times its size, which images don't; "
                "it was not unpacked"
            )
        if count > MOST:
            raise UnsafeArchiveError(f"{archive.name} holds more than {MOST} files; it was not unpacked")
        yield member


def _wanted(paths: list[PurePosixPath], part: str) -> dict[PurePosixPath, PurePosixPath]:
    """The path in the archive of each image below the part -> its path below the target."""
    images = [path for path in paths if is_image_file(Path(path.name)) and not _hidden(path)]
    if part:
        below = {path: _below(path.parts, PurePosixPath(part).parts) for path in images}
        return {path: PurePosixPath(*rest) for path, rest in below.items() if rest}
    common = 0
    while len({path.parts[:-1][common : common + 1] for path in images} - {()}) == 1 and all(
        len(path.parts) > common + 1 for path in images
    ):
        common += 1
    return {path: PurePosixPath(*path.parts[common:]) for path in images}


def _below(parts: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """What follows the wanted names in a path; empty where they aren't in it."""
    for start in range(len(parts) - len(wanted)):
        if parts[start : start + len(wanted)] == wanted:
            return parts[start + len(wanted) :]
    return ()


def _hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _write(archive: Path, members: Iterator[Member], wanted: dict[PurePosixPath, PurePosixPath], folder: Path) -> None:
    left = EXPANSION * archive.stat().st_size + SLACK  # what was stated need not be true
    with tqdm(total=len(wanted), desc=f"Unpacking {archive.name}", unit="image", leave=False, disable=None) as bar:
        for member in members:
            if member.path not in wanted:
                continue
            place = folder / wanted[member.path]
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = place.open("xb")
            except FileExistsError as error:
                raise UnsafeArchiveError(f"{archive.name} holds {str(member.path)!r} twice") from error
            with file, member.open() as content:
                while block := content.read(1 << 20):
                    left -= len(block)
                    if left < 0:
                        raise UnsafeArchiveError(f"{archive.name} holds more than it states; it was not unpacked")
                    file.write(block)
            bar.update()


@contextmanager
def _broken(archive: Path) -> Iterator[None]:
    """Say of a damaged archive that it is one."""
    try:
        yield
    except _DAMAGE as error:
        raise DownloadError(f"{archive.name} is broken: {str(error) or type(error).__name__}") from error
