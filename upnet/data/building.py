"""From a source to its store: decoded by all cores, written aside, and renamed when it is whole."""

import hashlib
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from upnet.data.lock import locked
from upnet.data.picture import BrokenPictureError
from upnet.data.place import places, writable
from upnet.data.sources.base import Entry, Source
from upnet.data.store import FORMAT, INDEX, PIXELS, DamagedStoreError, Store, write_index
from upnet.imresize import imresize

log = logging.getLogger(__name__)

RESIZING = "imresize, bicubic a=-0.5, antialiased, border symmetric, uint8"
"""How LR is made where a source has none of its own; part of every store's key."""

In = TypeVar("In")
Out = TypeVar("Out")


class Pair(NamedTuple):
    """A decoded picture: hr (H, W, 3), lr (H / scale, W / scale, 3), uint8.

    digest: of the HR picture as it was read.
    made:   whether LR was made here, rather than read from a file of its own.
    """

    hr: np.ndarray
    lr: np.ndarray
    digest: str
    made: bool


def build(
    source: Source,
    scale: int,
    cache_dir: str | Path | None = None,
    skip_broken: bool = False,
    max_pixels: int | None = None,
    workers: int | None = None,
) -> Store:
    """The store of a source's pictures at a whole scale: opened where it exists, else made.

    cache_dir:   the folder for it; None means beside the pictures (FOLDER/.upnet), or, where that cannot be written,
                 the user's cache folder.
    skip_broken: leave unreadable pictures out, and log which, instead of refusing the whole source.
    max_pixels:  larger pictures count as unreadable, against decompression bombs; see `upnet.data.read_rgb`.
    workers:     threads that decode; None means one per core.

    A store belongs to the content of its source: other bytes in any file make another store. A second process that
    wants the same store at the same time waits for the first.

    Raises ValueError, in one sentence, for pictures that cannot be read or whose sizes or names don't fit.
    """
    if scale < 1:
        raise ValueError(f"Data: scale must be a whole number, 1 or larger; got {scale}")
    source.check(scale)
    entries = source.pictures()
    workers = workers or _cores()
    candidates = places(source, cache_dir)
    label = f"{_plain(source.name)}-x{scale}-{_key(entries, scale, skip_broken, max_pixels, workers)[:16]}"
    for candidate in candidates:  # also one that can only be read, which an administrator may have filled
        if (store := _intact(candidate / label, quiet=True)) is not None:
            return _accepted(store, skip_broken)
    standing = {candidate: _standing(candidate) for candidate in candidates}
    folder = writable(candidates) / label
    lock = folder.with_name(f"{label}.lock")
    with locked(lock, lambda: log.info("Waiting for another process to decode %s", label)):
        store = _intact(folder)
        if store is None:
            try:
                _write(folder, source.name, entries, scale, skip_broken, max_pixels, workers)
            except BaseException:
                _leave_nothing(lock, standing[folder.parent])
                raise
            store = Store(folder)
    return _accepted(store, skip_broken)


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plain(name: str) -> str:
    """The name with nothing in it that a file system might mind."""
    return (
        "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)[:80].lstrip(".")
        or "pictures"
    )


def _key(entries: Sequence[Entry], scale: int, skip_broken: bool, max_pixels: int | None, workers: int) -> str:
    """A hash of everything that the content of the store depends on; what is too large may have been left out."""

    def fingerprint(entry: Entry) -> str:
        try:
            return entry.fingerprint(scale)
        except BrokenPictureError:
            if skip_broken:
                return "unreadable"
            raise

    with ThreadPoolExecutor(workers) as pool:
        prints = list(pool.map(fingerprint, entries))
    names = [entry.name for entry in entries]
    limit = [] if max_pixels is None else [max_pixels]
    return hashlib.sha256(json.dumps([FORMAT, RESIZING, scale, names, prints, *limit]).encode()).hexdigest()


def _intact(folder: Path, quiet: bool = False) -> Store | None:
    """The store in the folder; None where there is none, or where it is damaged, which is told unless quiet."""
    if not os.path.exists(folder):  # which, unlike Path.exists, says no where a folder above may not be entered
        return None
    try:
        return Store(folder)
    except DamagedStoreError as error:
        if not quiet:
            log.warning("The decoded pictures in %s are damaged and will be made again: %s", folder, error)
        return None


def _accepted(store: Store, skip_broken: bool) -> Store:
    """The store, unless pictures were left out and that isn't wanted."""
    if store.left_out and not skip_broken:
        raise BrokenPictureError(_refusal(store.left_out[0][1]))
    if store.left_out:
        told = "; ".join(reason for _, reason in store.left_out)
        log.warning(
            "%s: %d of %d pictures left out: %s",
            store.name,
            len(store.left_out),
            len(store) + len(store.left_out),
            told,
        )
    return store


def _refusal(reason: str) -> str:
    return f"{reason}; repair or remove it, or go on without it by data.skip_broken=true"


def _write(
    folder: Path,
    name: str,
    entries: Sequence[Entry],
    scale: int,
    skip_broken: bool,
    max_pixels: int | None,
    workers: int,
) -> None:
    """Make the store beside its place, sync it, and move it there. The caller holds the lock."""
    for leftover in folder.parent.glob(f"{folder.name}.part*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    part = folder.with_name(f"{folder.name}.part")
    try:
        part.mkdir()
        _fill(part, name, entries, scale, skip_broken, max_pixels, workers)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError as error:
        raise ValueError(
            f"The decoded pictures of {name} cannot be written to {folder.parent}: {error.strerror or error}; "
            "name a folder with room by data.cache_dir=FOLDER"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(
    part: Path,
    name: str,
    entries: Sequence[Entry],
    scale: int,
    skip_broken: bool,
    max_pixels: int | None,
    workers: int,
) -> None:
    """Write pictures.bin and index.json."""
    pictures: list[dict[str, object]] = []
    left_out: list[tuple[str, str]] = []
    made: set[bool] = set()
    whole = hashlib.sha256()

    def decode(entry: Entry) -> tuple[Entry, Pair | BrokenPictureError]:
        try:
            return entry, read_pair(entry, scale, max_pixels)
        except BrokenPictureError as error:
            return entry, error

    with (part / PIXELS).open("wb") as file, ThreadPoolExecutor(workers) as pool:
        ready = _in_order(pool, decode, entries, ahead=4 * workers)
        for entry, pair in tqdm(ready, f"Preparing {name} ×{scale}", len(entries), unit="picture", leave=False):
            if isinstance(pair, BrokenPictureError):
                if not skip_broken:
                    raise BrokenPictureError(_refusal(str(pair))) from pair
                left_out.append((entry.name, str(pair)))
                continue
            check = hashlib.sha256()
            for pixels in (pair.hr, pair.lr):
                content = np.ascontiguousarray(pixels).data
                check.update(content)
                file.write(content)
            size = pair.hr.shape[:2]
            told = {"name": entry.name, "size": size, "digest": pair.digest, "check": check.hexdigest()}
            pictures.append({**told, "grey": _is_grey(pair.hr)})
            made.add(pair.made)
            whole.update(f"{size} {check.hexdigest()}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    if not pictures:
        raise ValueError(f"{name}: none of its {len(entries)} pictures can be read; the first: {left_out[0][1]}")
    content = {"name": name, "scale": scale, "digest": whole.hexdigest(), "pictures": pictures, "left_out": left_out}
    content["lr_from"] = "both" if len(made) > 1 else "imresize" if made.pop() else "files"
    write_index(part / INDEX, {**content, "written": (part / PIXELS).stat().st_mtime_ns})


def _in_order(pool: ThreadPoolExecutor, call: Callable[[In], Out], items: Sequence[In], ahead: int) -> Iterator[Out]:
    """Results in the order of the items, never more than `ahead` of them waiting in memory."""
    waiting: deque[Future[Out]] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def read_pair(entry: Entry, scale: int, max_pixels: int | None = None) -> Pair:
    """Decode one picture and its LR, made from the whole HR picture where the source has none.

    Raises ValueError, naming the picture, where it cannot be read, where it is smaller than one LR pixel, and where LR
    isn't HR / scale.
    """
    hr = entry.read(max_pixels)
    digest = hashlib.sha256(repr(hr.shape).encode() + np.ascontiguousarray(hr).tobytes()).hexdigest()
    lr = entry.read_lr(scale, max_pixels)
    height, width = (side // scale for side in hr.shape[:2])
    if min(height, width) < 1:
        raise ValueError(f"{entry.name}: a picture of {_size(hr)} pixels is too small for scale {scale}")
    if lr is None:
        hr = hr[: scale * height, : scale * width]
        lr = imresize(hr, Fraction(1, scale), border="symmetric")
        return Pair(hr, lr, digest, made=True)
    if lr.shape[:2] != (height, width):
        raise ValueError(
            f"{entry.name}: LR must be HR / {scale}, that is {height}×{width} pixels for an HR of {_size(hr)}; "
            f"it is {_size(lr)}"
        )
    return Pair(hr[: scale * height, : scale * width], lr, digest, made=False)


def _is_grey(picture: np.ndarray) -> bool:
    """Whether the three channels of (H, W, 3) are one. The pixels tell, and not the file, so that they alone decide."""
    return all(bool((row[:, :1] == row[:, 1:]).all()) for row in picture)


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[0]}×{picture.shape[1]}"
