"""build_store: open the store of a source if it exists, otherwise build it. Concurrent processes build it once."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from upnet.data.image_pair import ROUNDED_UP_CURE
from upnet.data.sources.base import Source
from upnet.data.store import DamagedStoreError, Store
from upnet.data.store_builder import StoreBuilder, broken_image_error
from upnet.utils.device import available_cpus
from upnet.utils.errors import UserError
from upnet.utils.lock import locked
from upnet.utils.paths import expand_user

log = logging.getLogger(__name__)

FOLDER = ".upnet"
"""The folder for stores in a folder of images."""

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
    """Return the store of a source's images at one scale: open it if it exists, otherwise build it.

    scale:         HR size / LR size, an integer of at least 1.
    cache_dir:     the folder for stores; None: .upnet in the folder of the images, or the user's cache folder if that
                   cannot be written.
    skip_broken:   skip unreadable images with a warning. Otherwise one unreadable image is an error.
    max_pixels:    an image with more pixels is unreadable; see `upnet.imaging.reading.read_rgb`.
    workers:       number of threads that decode; None: one per core.
    lr_rounded_up: accept LR files of HR / scale pixels rounded up, and crop them and HR to a multiple of the scale.

    The name of a store contains a hash of the source's content: a change in any file gives a new store. A second
    process that needs the same store at the same time waits for the first.

    Raises UserError for images that cannot be read or whose sizes or names don't match, and if no folder for the store
    can be written; RunError if writing the store fails, such as on a full disk.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import DeadLeaves
    >>> cache = TemporaryDirectory()
    >>> len(build_store(DeadLeaves(count=2, size=32), scale=2, cache_dir=cache.name))
    2
    """
    if scale < 1:
        raise UserError("not a valid scale", setting="scale", value=scale, allowed="an integer, 1 or larger")
    source.check(scale)
    builder = StoreBuilder(
        source.name, source.images(), scale, skip_broken, max_pixels, workers or available_cpus(), lr_rounded_up
    )
    candidates = cache_folders(source, cache_dir)
    label = f"{_portable_name(source.name)}-x{scale}-{builder.key()[:16]}"
    for candidate in candidates:  # read-only folders, too: an administrator may have filled them
        if (store := _open_intact(candidate / label, quiet=True)) is not None:
            return _check_settings(store, skip_broken, lr_rounded_up)
    existing_parents = {candidate: _nearest_existing(candidate) for candidate in candidates}
    folder = first_writable(candidates) / label
    lock = folder.with_name(f"{label}.lock")
    with locked(lock, lambda: log.info("Waiting for another process to decode %s", label)):
        store = _open_intact(folder)
        if store is None:
            try:
                builder.build(folder)
            except BaseException:
                _remove_empty(lock, existing_parents[folder.parent])
                raise
            store = Store(folder)
    return _check_settings(store, skip_broken, lr_rounded_up)


def cache_folders(source: Source, cache_dir: str | Path | None) -> list[Path]:
    """The folders that may contain a source's store, in order of preference.

    If `cache_dir` is given, it is the only one. Otherwise the first is .upnet in the folder of the images, or in data/
    of the checkout if the images come from no folder; the second is the user's cache folder.
    """
    if cache_dir is not None:
        return [expand_user(cache_dir)]
    parent = source.folder or checkout_data_folder()
    return [*([parent / FOLDER] if parent is not None else []), user_cache_folder()]


def first_writable(candidates: list[Path]) -> Path:
    """The first folder that can be written; it is created if it is missing.

    A folder without write permission for anybody counts as read-only, even for the superuser.

    Raises UserError if no folder can be written.
    """
    for candidate in candidates:
        if _make_writable(candidate):
            if candidate != candidates[0]:
                log.info("%s cannot be written; the decoded images are written to %s", candidates[0], candidate)
            return candidate
    folders = " nor ".join(str(candidate) for candidate in candidates)
    raise UserError(
        f"the decoded images cannot be written to {folders}", cure="Name a writable folder by data.cache_dir=FOLDER"
    )


def user_cache_folder() -> Path:
    """$XDG_CACHE_HOME/upnet or ~/.cache/upnet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "upnet"


def checkout_data_folder() -> Path | None:
    """The folder data/ of the checkout that upnet is imported from; None if upnet was installed elsewhere."""
    checkout = Path(__file__).resolve().parents[2]
    data = checkout / "data"
    return data if (checkout / "pyproject.toml").is_file() and data.is_dir() else None


def _make_writable(folder: Path) -> bool:
    """Create the folder if it is missing, and return whether it can be written."""
    existing = _nearest_existing(folder)
    if not existing.is_dir() or not existing.stat().st_mode & 0o222 or not os.access(existing, os.W_OK | os.X_OK):
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True


def _nearest_existing(folder: Path) -> Path:
    """The folder itself, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))


def _remove_empty(lock: Path, existing: Path) -> None:
    """Remove the lock file, which this process holds, and the empty folders that were created for it in `existing`."""
    with suppress(OSError):  # Windows doesn't remove an open file
        lock.unlink()
        for folder in lock.parents:
            if folder == existing:
                return
            folder.rmdir()


def _portable_name(name: str) -> str:
    """A name as part of a file name that all file systems accept: letters, digits, - _ and ., at most 225 bytes."""
    portable = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)[:80].lstrip(".")
    return portable.encode()[:225].decode(errors="ignore") or "images"


def _open_intact(folder: Path, quiet: bool = False) -> Store | None:
    """The store in the folder. None if there is none, or if it is damaged, which is logged unless quiet."""
    if not os.path.exists(folder):  # unlike Path.exists, False without permission for a parent folder
        return None
    try:
        return Store(folder)
    except DamagedStoreError as error:
        if not quiet:
            log.warning("The decoded images in %s are damaged and will be decoded again: %s", folder, error)
        return None


def _check_settings(store: Store, skip_broken: bool, lr_rounded_up: bool) -> Store:
    """Check an opened store against the settings, log what it contains, and return it.

    Raises UserError if the store was built with skip_broken=True or lr_rounded_up=True and needs a setting that is now
    false.
    """
    if store.skipped and not skip_broken:
        raise broken_image_error(store.skipped[0][1])
    if store.lr_rounded_up and not lr_rounded_up:
        raise UserError(
            f"{store.name}: LR must be HR / {store.scale} in size, and the sizes of some LR images are rounded up",
            cure=ROUNDED_UP_CURE,
        )
    log.info("%s: %d image%s, %s", store.name, len(store), "s" * (len(store) != 1), _LR_FROM[store.lr_from])
    if store.skipped:
        total, reasons = len(store) + len(store.skipped), "; ".join(reason for _, reason in store.skipped)
        log.warning("%s: %d of %d images are skipped: %s", store.name, len(store.skipped), total, reasons)
    return store
