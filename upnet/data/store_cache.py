"""From a source to its store: opened where it exists, else made by one process while others wait."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from upnet.data.sources.base import Source
from upnet.data.store import DamagedStoreError, Store
from upnet.data.store_builder import StoreBuilder, refusal
from upnet.imaging.reading import BrokenImageError
from upnet.utils.device import available_cpus
from upnet.utils.lock import locked
from upnet.utils.paths import expand_user

log = logging.getLogger(__name__)

FOLDER = ".upnet"


def cache_folders(source: Source, cache_dir: str | Path | None) -> list[Path]:
    """The folders that may hold a source's store, the preferred one first.

    cache_dir alone where it is given; else beside the images, or in the project's data folder for images that come
    from no folder; and the user's cache folder last.
    """
    if cache_dir is not None:
        return [expand_user(cache_dir)]
    home = source.folder or checkout_data_folder()
    return [*([home / FOLDER] if home is not None else []), user_cache_folder()]


def first_writable(candidates: list[Path]) -> Path:
    """The first folder that can be written, created if need be.

    Raises ValueError where none can. A folder whose permissions allow writing to nobody counts as read-only for the
    superuser too: someone wanted it left alone.
    """
    for candidate in candidates:
        if _prepare(candidate):
            if candidate != candidates[0]:
                log.info("%s cannot be written; the decoded images go to %s", candidates[0], candidate)
            return candidate
    told = " nor ".join(str(candidate) for candidate in candidates)
    raise ValueError(f"The decoded images cannot be written to {told}; name a writable folder by data.cache_dir=FOLDER")


def user_cache_folder() -> Path:
    """$XDG_CACHE_HOME/upnet or ~/.cache/upnet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "upnet"


def checkout_data_folder() -> Path | None:
    """The data folder of the checkout that upnet runs from; None where upnet is installed elsewhere."""
    project = Path(__file__).resolve().parents[2]
    data = project / "data"
    return data if (project / "pyproject.toml").is_file() and data.is_dir() else None


def _prepare(folder: Path) -> bool:
    standing = folder
    while not standing.exists() and standing != standing.parent:
        standing = standing.parent
    if not standing.is_dir() or not standing.stat().st_mode & 0o222 or not os.access(standing, os.W_OK | os.X_OK):
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True


log = logging.getLogger(__name__)

_LR_FROM = {"imresize": "LR made from HR", "files": "LR from files", "both": "LR partly from files"}


def build_store(
    source: Source,
    scale: int,
    cache_dir: str | Path | None = None,
    skip_broken: bool = False,
    max_pixels: int | None = None,
    workers: int | None = None,
    lr_rounded_up: bool = False,
) -> Store:
    """The store of a source's images at a whole scale: opened where it exists, else made.

    cache_dir:   the folder for it; None means beside the images (FOLDER/.upnet), or, where that cannot be written,
                 the user's cache folder.
    skip_broken: leave unreadable images out, and log which, instead of refusing the whole source.
    max_pixels:  larger images count as unreadable, against decompression bombs; see `upnet.imaging.reading.read_rgb`.
    workers:     threads that decode; None means one per core.
    lr_rounded_up: accept LR files of HR / scale pixels rounded up, and crop them and HR to a multiple of the scale.

    A store belongs to the content of its source: other bytes in any file make another store. A second process that
    wants the same store at the same time waits for the first.

    Raises ValueError, in one sentence, for images that cannot be read or whose sizes or names don't fit.
    """
    if scale < 1:
        raise ValueError(f"Data: scale must be a whole number, 1 or larger; got {scale}")
    source.check(scale)
    making = StoreBuilder(
        source.name, source.images(), scale, skip_broken, max_pixels, workers or available_cpus(), lr_rounded_up
    )
    candidates = cache_folders(source, cache_dir)
    label = f"{_plain(source.name)}-x{scale}-{making.key()[:16]}"
    for candidate in candidates:  # also one that can only be read, which an administrator may have filled
        if (store := _intact(candidate / label, quiet=True)) is not None:
            return _accepted(store, skip_broken, lr_rounded_up)
    standing = {candidate: _standing(candidate) for candidate in candidates}
    folder = first_writable(candidates) / label
    lock = folder.with_name(f"{label}.lock")
    with locked(lock, lambda: log.info("Waiting for another process to decode %s", label)):
        store = _intact(folder)
        if store is None:
            try:
                making.write(folder)
            except BaseException:
                _leave_nothing(lock, standing[folder.parent])
                raise
            store = Store(folder)
    return _accepted(store, skip_broken, lr_rounded_up)


def _standing(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    return next(above for above in (folder, *folder.parents) if os.path.exists(above))


def _leave_nothing(lock: Path, standing: Path) -> None:
    """Remove the lock, which this process holds, and what was made for it below `standing`, as far as it is empty."""
    with suppress(OSError):  # some systems remove no open file
        lock.unlink()
        for made in lock.parents:
            if made == standing:
                return
            made.rmdir()


def _plain(name: str) -> str:
    """The name with nothing in it that a file system might mind."""
    return (
        "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)[:80].lstrip(".") or "images"
    )


def _intact(folder: Path, quiet: bool = False) -> Store | None:
    """The store in the folder; None where there is none, or where it is damaged, which is told unless quiet."""
    if not os.path.exists(folder):  # which, unlike Path.exists, says no where a folder above may not be entered
        return None
    try:
        return Store(folder)
    except DamagedStoreError as error:
        if not quiet:
            log.warning("The decoded images in %s are damaged and will be made again: %s", folder, error)
        return None


def _accepted(store: Store, skip_broken: bool, lr_rounded_up: bool) -> Store:
    """The store, with its number of images logged; refused where it was made under a setting that isn't given now."""
    if store.skipped and not skip_broken:
        raise BrokenImageError(refusal(store.skipped[0][1]))
    if store.lr_rounded_up and not lr_rounded_up:
        raise ValueError(
            f"{store.name}: LR must be HR / {store.scale} in size, and some LR images are that rounded up; "
            "data.lr_rounded_up=true accepts them, and crops HR to a multiple of the scale and LR to the same part"
        )
    log.info("%s: %d image%s, %s", store.name, len(store), "s" * (len(store) != 1), _LR_FROM[store.lr_from])
    if store.skipped:
        told = "; ".join(reason for _, reason in store.skipped)
        log.warning(
            "%s: %d of %d images left out: %s",
            store.name,
            len(store.skipped),
            len(store) + len(store.skipped),
            told,
        )
    return store
