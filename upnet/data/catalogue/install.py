"""Install a published set: download its archives and extract its images into a folder."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from upnet.data.catalogue.base import Archive, DownloadSource, PublishedSet
from upnet.data.catalogue.download import DownloadError, fetch
from upnet.data.catalogue.unpack import unpack
from upnet.imaging.reading import is_image_file
from upnet.utils.errors import UserError
from upnet.utils.lock import locked

ARCHIVES = ".download"
"""The folder below the root that contains archives until they are extracted."""

Say = Callable[[str], None]
"""Reports one line of progress to the user."""


def install(
    set_class: type[PublishedSet],
    root: Path,
    say: Say,
    scales: Sequence[int] = (),
    mirror: str | None = None,
    keep: bool = False,
) -> None:
    """Download and extract what is missing of a set below the root.

    say:    reports progress, one line per call.
    scales: of the LR images that are in separate archives; empty: all.
    mirror: the address of a folder with the same archives, which are still checked by size and checksum.
    keep:   keep the archives.

    Raises UserError if the set cannot be downloaded at all or the root cannot be written; DownloadError, a subclass, if
    every source of the set fails.
    """
    if not set_class.downloads:
        raise UserError(f"{set_class.title} cannot be downloaded", cure=set_class.instructions)
    if is_installed(set_class, root, scales):
        return
    archives = root / ARCHIVES
    try:
        archives.mkdir(parents=True, exist_ok=True)
        with locked(archives / "lock", lambda: say(f"waiting for another download into {root}")):
            _install_from_first(set_class, root, say, scales, mirror, keep)
    except OSError as error:
        raise UserError(
            f"{set_class.title} cannot be written to {root}: {error.strerror or error}",
            cure="Choose another folder by --root",
        ) from error


def is_installed(set_class: type[PublishedSet], root: Path, scales: Sequence[int] = ()) -> bool:
    """Whether all images of the set are below the root, with the LR images of `scales` that the set provides.

    scales: empty: all scales of the set.
    """
    wanted = [scale for scale in scales or set_class.scales if scale in set_class.scales]
    located = [set_class(str(root)).find(scale) for scale in wanted or (None,)]
    return all(
        item is not None
        and len(item[1]) == set_class.count
        and (not wanted or all(lr is not None for _, lr in item[1].values()))
        for item in located
    )


def _install_from_first(
    set_class: type[PublishedSet], root: Path, say: Say, scales: Sequence[int], mirror: str | None, keep: bool
) -> None:
    """Try the sources of the set in order until one succeeds. Raises the last DownloadError."""
    failure: DownloadError | None = None
    for source in set_class.downloads:
        if failure is not None:
            say(f"{failure}\n")
        say(f"from {mirror or source.provider}{', a mirror' * bool(source.mirror or mirror)} ({source.size_text})")
        try:
            _install_archives(source, root, say, scales, mirror, keep)
            _check_count(set_class, root)
            return
        except DownloadError as error:
            failure = error
    assert failure is not None
    raise failure


def _install_archives(
    source: DownloadSource, root: Path, say: Say, scales: Sequence[int], mirror: str | None, keep: bool
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
        fetch(archive, file, say)
        try:
            count = unpack(file, archive.inner_folder, target)
        except DownloadError:
            file.unlink()
            raise
        if archive.count is not None and count != archive.count:
            shutil.rmtree(target)
            file.unlink()
            raise DownloadError(f"{archive.url} contains {count} images instead of {archive.count}; it was deleted")
        checked = archive.checksum.partition(":")[0] if archive.checksum else "no checksum is known"
        say(f"{name}: {count} images ({checked})")
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
    try:
        located = set_class(str(root)).find()
    except UserError as error:
        raise DownloadError(str(error)) from error
    count = len(located[1]) if located else 0
    if count != set_class.count:
        raise DownloadError(
            f"{set_class.title} has {set_class.count} images, and {count} of them are now below {root}",
            cure="Move them away and download again",
        )
