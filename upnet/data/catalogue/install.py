"""Get a published set into a folder, from whoever has it."""

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
from upnet.utils.lock import locked

ASIDE = ".download"
"""The folder below the root where archives are kept until they are unpacked."""

Say = Callable[[str], None]


def get(
    chosen: type[PublishedSet],
    root: Path,
    say: Say,
    scales: Sequence[int] = (),
    mirror: str | None = None,
    keep: bool = False,
) -> None:
    """Download and unpack what is missing of a set below the root.

    scales: of the LR images, where they come in archives of their own; none means all.
    mirror: an address that the archives are taken from instead, by their names; sizes and checksums stay what they are.
    keep:   whether to keep the archives.

    Raises ValueError where the set has to be asked for or the root cannot be written; DownloadError, which is one,
    where nobody has it any more, or not as it was published.
    """
    if not chosen.offers:
        raise ValueError(f"{chosen.title} is not for download: {chosen.by_hand}")
    if complete(chosen, root, scales):
        return
    aside = root / ASIDE
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with locked(aside / "lock", lambda: say(f"waiting for another download into {root}")):
            _from_anyone(chosen, root, say, scales, mirror, keep)
    except DownloadError:
        raise
    except OSError as error:
        raise ValueError(
            f"{chosen.title} cannot be written to {root}: {error.strerror or error}; name another folder by --root"
        ) from error


def complete(chosen: type[PublishedSet], root: Path, scales: Sequence[int] = ()) -> bool:
    """Whether all images of the set are below the root, with LR images of those scales that it has."""
    wanted = [scale for scale in scales or chosen.scales if scale in chosen.scales]
    here = [chosen(str(root)).find(scale) for scale in wanted or (None,)]
    return all(
        found is not None
        and len(found[1]) == chosen.count
        and (not wanted or all(lr is not None for _, lr in found[1].values()))
        for found in here
    )


def _from_anyone(
    chosen: type[PublishedSet], root: Path, say: Say, scales: Sequence[int], mirror: str | None, keep: bool
) -> None:
    failure: DownloadError | None = None
    for offer in chosen.offers:
        if failure is not None:
            say(f"{failure}\n")
        say(f"from {mirror or offer.by}{', a mirror' * bool(offer.mirror or mirror)} ({offer.weight})")
        try:
            _take(offer, root, say, scales, mirror, keep)
            _check(chosen, root)
            return
        except DownloadError as error:
            failure = error
    assert failure is not None
    raise failure


def _take(offer: DownloadSource, root: Path, say: Say, scales: Sequence[int], mirror: str | None, keep: bool) -> None:
    for archive in offer.archives:
        if scales and archive.scale is not None and archive.scale not in scales:
            continue
        target = root / archive.to
        if _there(archive, target):
            continue
        name = Path(urlsplit(archive.url).path).name
        if mirror is not None:
            archive = replace(archive, url=f"{mirror.rstrip('/')}/{name}")
        file = root / ASIDE / f"{sha256(archive.url.encode()).hexdigest()[:8]}-{name}"
        fetch(archive, file, say)
        try:
            count = unpack(file, archive.part, target)
        except DownloadError:
            file.unlink()
            raise
        if archive.count is not None and count != archive.count:
            shutil.rmtree(target)
            file.unlink()
            raise DownloadError(f"{archive.url} holds {count} images instead of {archive.count}; nothing was kept")
        checked = archive.checksum.partition(":")[0] if archive.checksum else "no checksum is known"
        say(f"{name}: {count} images ({checked})")
        if not keep:
            file.unlink()


def _there(archive: Archive, target: Path) -> bool:
    """Whether the archive has been unpacked before. Raises ValueError where something else is in its place."""
    if not target.exists():
        return False
    held = sum(is_image_file(path) for path in target.rglob("*")) if target.is_dir() else 0
    if held and held == (archive.count or held):
        return True
    raise ValueError(
        f"{target} is there already, with {held} images{f' instead of {archive.count}' if archive.count else ''}; "
        "move it away and download again"
    )


def _check(chosen: type[PublishedSet], root: Path) -> None:
    try:
        found = chosen(str(root)).find()
    except ValueError as error:
        raise DownloadError(str(error)) from error
    count = len(found[1]) if found else 0
    if count != chosen.count:
        raise DownloadError(
            f"{chosen.title} has {chosen.count} images, and {count} of them are now below {root}; "
            "move what is there away and download again"
        )
