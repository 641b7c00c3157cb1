"""The members of an untrusted zip or tar archive, checked before anything is extracted."""

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from upnet.data.catalogue.archives import DownloadError
from upnet.utils.errors import UserError

MAX_EXPANSION = 20
"""The largest ratio of content to archive in bytes. Image files are compressed, so theirs is about 1."""

EXTRA_BYTES = 1 << 20
"""Bytes that are allowed in addition, for small archives."""

MAX_MEMBERS = 200_000
"""The largest number of members of an archive."""

_DAMAGE_ERRORS = (
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
    """An archive that would write outside of the target folder, or far more than images need."""


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    path: its path in the archive.
    size: in bytes, as the archive states it.
    open: opens it for reading.
    """

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def open_archive(archive: Path) -> Iterator[Callable[[], Iterator[Member]]]:
    """Open a zip or tar archive; yields a function that iterates over its members.

    Raises UnsafeArchiveError while iterating, for absolute paths, paths with "..", links, and devices; DownloadError,
    also for errors in the `with` block, if the file is not an archive or is damaged; UserError if this Python version
    cannot extract tar archives safely.
    """
    try:
        with _open(archive) as members:
            yield members
    except _DAMAGE_ERRORS as error:
        raise DownloadError(f"{archive.name} is damaged: {str(error) or type(error).__name__}") from error


@contextmanager
def _open(archive: Path) -> Iterator[Callable[[], Iterator[Member]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield lambda: _zip_members(archive, opened)
    elif tarfile.is_tarfile(archive):
        if not hasattr(tarfile, "data_filter"):
            raise UserError("this Python cannot extract tar archives safely", cure="Use 3.10.12, 3.11.4, 3.12 or later")
        with tarfile.open(archive) as opened:
            yield lambda: _tar_members(archive, opened)
    else:
        raise DownloadError(f"{archive.name} is not a zip or tar archive, or is damaged")


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
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


def _tar_members(archive: Path, opened: tarfile.TarFile) -> Iterator[Member]:
    for info in opened:
        path = _path(archive, info.name)
        try:
            tarfile.data_filter(info, str(archive.parent))  # rejects more than the checks below
        except tarfile.FilterError as error:
            raise UnsafeArchiveError(f"{archive.name} was not extracted: {error}") from error
        if info.issym() or info.islnk() or not (info.isfile() or info.isdir()) or info.issparse():
            raise UnsafeArchiveError(f"{archive.name} contains a link or a device: {info.name!r}")
        if info.isfile():
            yield Member(path, info.size, lambda info=info: _open_file(opened, info))
    assert opened.fileobj is not None, "closed only by the caller"
    opened.fileobj.seek(opened.offset)
    if not opened.fileobj.read(tarfile.BLOCKSIZE):  # tarfile accepts an archive that is truncated between members
        raise DownloadError(f"{archive.name} is damaged: it is truncated")


def _open_file(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(info)
    assert content is not None, "not a file"
    return content


def _path(archive: Path, name: str) -> PurePosixPath:
    """A member's path. Raises UnsafeArchiveError if it leads out of the folder, on any operating system."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\x00-\x1f]", name):
        raise UnsafeArchiveError(
            f"{archive.name} contains a path that leaves its folder: {name!r}; nothing was extracted"
        )
    return path


def content_limit(archive: Path) -> int:
    """The number of bytes that the content of an archive may have."""
    return MAX_EXPANSION * archive.stat().st_size + EXTRA_BYTES


def limit_members(archive: Path, members: Iterator[Member]) -> Iterator[Member]:
    """Yield the members. Raises UnsafeArchiveError if they are too many or too large."""
    limit = content_limit(archive)
    total = 0
    for count, member in enumerate(members, 1):
        total += member.size
        if total > limit:
            raise UnsafeArchiveError(
                f"{archive.name} would expand to more than {MAX_EXPANSION} times its size, which images don't; "
                "nothing was extracted"
            )
        if count > MAX_MEMBERS:
            raise UnsafeArchiveError(f"{archive.name} contains more than {MAX_MEMBERS} files; nothing was extracted")
        yield member
