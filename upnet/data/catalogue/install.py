"""Install a published set: download its archives and extract its images into a folder."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from upnet.data.catalogue.archives import Archive, DownloadError, DownloadSource
from upnet.data.catalogue.base import PublishedSet
from upnet.data.catalogue.download import fetch
from upnet.data.catalogue.unpack import unpack
from upnet.imaging.reading import is_image_file
from upnet.utils.errors import RunError, UserError
from upnet.utils.lock import locked

ARCHIVES = ".download"
"""The folder below the root that contains archives until they are extracted."""

Report = Callable[[str], None]
"""Receives each line of progress."""


def install(
    set_class: type[PublishedSet],
    root: Path,
    report: Report,
    scales: Sequence[int] = (),
    mirror: str | None = None,
    keep: bool = False,
) -> None:
    """Download and extract the missing parts of a set below the root.

    set_class: the set.
    root:      the folder for sets; it is created if it is missing.
    report:    receives each line of progress.
    scales:    scales of the LR images to download, if they are in separate archives; empty: all.
    mirror:    the URL of a folder with the same archives; size and checksum are verified as well.
    keep:      keep the archives.

    Raises UserError if the set cannot be downloaded at all, if the root cannot be written, or if other images are where
    the set belongs; DownloadError if every source of the set fails; RunError if the disk fails or is full.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data.catalogue import Manga109
    >>> with TemporaryDirectory() as root:
    ...     install(Manga109, Path(root), print)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    upnet.utils.errors.UserError: Manga109 cannot be downloaded. Apply to its authors ...
    """
    if not set_class.downloads:
        raise UserError(f"{set_class.title} cannot be downloaded", cure=set_class.instructions)
    if is_installed(set_class, root, scales):
        return
    archives = root / ARCHIVES
    lock = archives / "lock"
    try:
        archives.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise UserError(
            f"{set_class.title} cannot be written to {root}: {error.strerror or error}",
            cure="Choose another folder by --root",
        ) from error
    try:
        with locked(lock, lambda: report(f"waiting for another download into {root}")):
            _install_from_first_source(set_class, root, report, scales, mirror, keep)
    except OSError as error:
        raise RunError(
            f"{set_class.title} cannot be written to {root}: {error.strerror or error}. Free some space, or choose "
            "another folder by --root"
        ) from error


def is_installed(set_class: type[PublishedSet], root: Path, scales: Sequence[int] = ()) -> bool:
    """Whether all images of the set are below the root, with the LR images of `scales` that the set provides.

    scales: empty: all scales of the set.
    """
    provided = [scale for scale in scales or set_class.scales if scale in set_class.scales]
    results = [set_class(str(root)).find(scale) for scale in provided or (None,)]
    return all(
        result is not None
        and len(result[1]) == set_class.count
        and (not provided or all(lr is not None for _, lr in result[1].values()))
        for result in results
    )


def _install_from_first_source(
    set_class: type[PublishedSet], root: Path, report: Report, scales: Sequence[int], mirror: str | None, keep: bool
) -> None:
    """Try the sources of the set in order until one succeeds. Raises the last DownloadError."""
    failure: DownloadError | None = None
    for source in set_class.downloads:
        if failure is not None:
            report(f"{failure}\n")
        is_mirror = source.mirror or mirror is not None
        report(f"from {mirror or source.provider}{', a mirror' * is_mirror} ({source.size_text})")
        try:
            _install_archives(source, root, report, scales, mirror, keep)
            _check_count(set_class, root)
            return
        except DownloadError as error:
            failure = error
    assert failure is not None
    raise failure


def _install_archives(
    source: DownloadSource, root: Path, report: Report, scales: Sequence[int], mirror: str | None, keep: bool
) -> None:
    for archive in source.archives:
        if scales and archive.scale is not None and archive.scale not in scales:
            continue
        target = root / archive.folder
        if _is_extracted(archive, target):
            continue
        name = Path(urlsplit(archive.url).path).name
        if mirror is not None:
            archive = replace(archive, url=f"{mirror.rstrip('/')}/{name}")
        file = root / ARCHIVES / f"{sha256(archive.url.encode()).hexdigest()[:8]}-{name}"
        fetch(archive, file, report)
        try:
            count = unpack(file, archive.inner_folder, target)
        except DownloadError:
            file.unlink()
            raise
        if archive.count is not None and count != archive.count:
            shutil.rmtree(target)
            file.unlink()
            raise DownloadError(f"{archive.url} contains {count} images instead of {archive.count}; it was deleted")
        verified_by = archive.checksum.partition(":")[0] if archive.checksum else "no checksum is known"
        report(f"{name}: {count} images ({verified_by})")
        if not keep:
            file.unlink()


def _is_extracted(archive: Archive, target: Path) -> bool:
    """Whether the archive's images are in the target. Raises UserError if it contains something else."""
    if not target.exists():
        return False
    count = sum(is_image_file(path) for path in target.rglob("*")) if target.is_dir() else 0
    if count and count == (archive.count or count):
        return True
    expected = f" instead of {archive.count}" if archive.count else ""
    raise UserError(f"{target} already exists, with {count} images{expected}", cure="Move it away and download again")


def _check_count(set_class: type[PublishedSet], root: Path) -> None:
    """Raise DownloadError unless the root contains the published number of images."""
    try:
        result = set_class(str(root)).find()
    except UserError as error:
        raise DownloadError(str(error)) from error
    count = len(result[1]) if result else 0
    if count != set_class.count:
        raise DownloadError(
            f"{set_class.title} has {set_class.count} images, and {count} of them are now below {root}. Move them away "
            "and download again"
        )
