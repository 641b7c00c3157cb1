"""Extract the images of an untrusted archive: only images are written, and only inside the target folder."""

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
from upnet.utils.errors import UserError

EXPANSION = 20
"""The largest ratio of content to archive; images are compressed already, and their ratio is about 1."""

SLACK = 1 << 20
"""Bytes that the content may have in any case."""

MAX_MEMBERS = 200_000
"""The largest number of members of an archive."""

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
    """An archive that would write outside of its folder, or far more than images need."""


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path, its size in bytes as the archive states it, and a way to read it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, inner_folder: str, target: Path) -> int:
    """Extract the images below one folder of a zip or tar archive into `target`, and return their number.

    inner_folder: the last names of the folder's path in the archive, at any depth; "": all images, without the folders
                  that they have in common.
    target:       a folder that doesn't exist, on the archive's disk. It is created when all images are extracted.

    The complete archive is checked before anything is written. Its permissions, owners and times are ignored.

    Raises UnsafeArchiveError for absolute paths, paths with "..", links, devices, content that is far larger than the
    archive, and members that overwrite each other; DownloadError for a file that is not an archive, is damaged, or has
    no images in that folder.
    """
    temporary = archive.with_name(f"{archive.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _damage_reported(archive), _opened(archive) as members:
            wanted = _wanted([member.path for member in _checked(archive, members())], inner_folder)
            if not wanted:
                raise DownloadError(
                    f"{archive.name} contains no images" + f" in a folder {inner_folder}" * bool(inner_folder)
                )
            temporary.mkdir()
            _write(archive, members(), wanted, temporary)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(wanted)


@contextmanager
def _opened(archive: Path) -> Iterator[Callable[[], Iterator[Member]]]:
    """A function that lists the members of the archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield lambda: _of_zip(archive, opened)
    elif tarfile.is_tarfile(archive):
        if not hasattr(tarfile, "data_filter"):
            raise UserError("this Python cannot extract tar archives safely", cure="Use 3.10.12, 3.11.4, 3.12 or later")
        with tarfile.open(archive) as opened:
            yield lambda: _of_tar(archive, opened)
    else:
        raise DownloadError(f"{archive.name} is not a zip or tar archive, or is damaged")


def _of_zip(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeArchiveError(
                f"{archive.name} contains a link or a device: {info.filename!r}; nothing was extracted"
            )
        if not info.is_dir():
            yield Member(_path(archive, info.orig_filename), info.file_size, lambda info=info: opened.open(info))
        else:
            _path(archive, info.orig_filename)


def _of_tar(archive: Path, opened: tarfile.TarFile) -> Iterator[Member]:
    for info in opened:
        path = _path(archive, info.name)
        try:
            tarfile.data_filter(info, str(archive.parent))  # checks more than is listed below
        except tarfile.FilterError as error:
            raise UnsafeArchiveError(f"{archive.name} was not extracted: {error}") from error
        if info.issym() or info.islnk() or not (info.isfile() or info.isdir()) or info.issparse():
            raise UnsafeArchiveError(f"{archive.name} contains a link or a device: {info.name!r}")
        if info.isfile():
            yield Member(path, info.size, lambda info=info: _content(opened, info))
    assert opened.fileobj is not None, "open until the end"
    opened.fileobj.seek(opened.offset)
    if not opened.fileobj.read(tarfile.BLOCKSIZE):  # tarfile accepts an archive that was cut between members
        raise DownloadError(f"{archive.name} is damaged: it has no end")


def _content(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(info)
    assert content is not None, "called for files only"
    return content


def _path(archive: Path, name: str) -> PurePosixPath:
    """A member's path. Raises UnsafeArchiveError for one that could leave the folder on any operating system."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00-\x1f]", name):
        raise UnsafeArchiveError(
            f"{archive.name} contains a path that leaves its folder: {name!r}; nothing was extracted"
        )
    return path


def _checked(archive: Path, members: Iterator[Member]) -> Iterator[Member]:
    """The members. Raises UnsafeArchiveError if they are too many or too large."""
    limit = EXPANSION * archive.stat().st_size + SLACK
    total = 0
    for count, member in enumerate(members, 1):
        total += member.size
        if total > limit:
            raise UnsafeArchiveError(
                f"{archive.name} would expand to more than {EXPANSION} times its size, unlike images; "
                "it was not extracted"
            )
        if count > MAX_MEMBERS:
            raise UnsafeArchiveError(f"{archive.name} contains more than {MAX_MEMBERS} files; nothing was extracted")
        yield member


def _wanted(paths: list[PurePosixPath], inner_folder: str) -> dict[PurePosixPath, PurePosixPath]:
    """{path in the archive: path below the target} of each image below the inner folder."""
    images = [path for path in paths if is_image_file(Path(path.name)) and not _hidden(path)]
    if inner_folder:
        below = {path: _below(path.parts, PurePosixPath(inner_folder).parts) for path in images}
        return {path: PurePosixPath(*rest) for path, rest in below.items() if rest}
    common = 0
    while len({path.parts[:-1][common : common + 1] for path in images} - {()}) == 1 and all(
        len(path.parts) > common + 1 for path in images
    ):
        common += 1
    return {path: PurePosixPath(*path.parts[common:]) for path in images}


def _below(parts: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The part of a path after the wanted names; empty if they aren't in it."""
    for start in range(len(parts) - len(wanted)):
        if parts[start : start + len(wanted)] == wanted:
            return parts[start + len(wanted) :]
    return ()


def _hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _write(archive: Path, members: Iterator[Member], wanted: dict[PurePosixPath, PurePosixPath], folder: Path) -> None:
    remaining = EXPANSION * archive.stat().st_size + SLACK  # the archive's own statement may be false
    with tqdm(total=len(wanted), desc=f"Extracting {archive.name}", unit="image", leave=False, disable=None) as bar:
        for member in members:
            if member.path not in wanted:
                continue
            path = folder / wanted[member.path]
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("xb")
            except FileExistsError as error:
                raise UnsafeArchiveError(f"{archive.name} contains {str(member.path)!r} twice") from error
            with file, member.open() as content:
                while block := content.read(1 << 20):
                    remaining -= len(block)
                    if remaining < 0:
                        raise UnsafeArchiveError(
                            f"{archive.name} contains more than its index states; nothing was extracted"
                        )
                    file.write(block)
            bar.update()


@contextmanager
def _damage_reported(archive: Path) -> Iterator[None]:
    """Turn the errors of a damaged archive into DownloadError."""
    try:
        yield
    except _DAMAGE as error:
        raise DownloadError(f"{archive.name} is damaged: {str(error) or type(error).__name__}") from error
