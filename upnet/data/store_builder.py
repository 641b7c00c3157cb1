"""StoreBuilder: decode a source's images in threads and write them to a store, which appears when it is complete."""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from tqdm import tqdm

from upnet.data.image_pair import LR_METHOD, ImagePair, read_pair
from upnet.data.sources.base import ImageEntry
from upnet.data.store import FORMAT, INDEX, PIXELS, write_index
from upnet.imaging.reading import BrokenImageError
from upnet.utils.errors import RunError, UserError

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class StoreBuilder:
    """What a store contains, and how it is built.

    name:          the name of the source.
    entries:       the images of the source.
    scale:         HR size / LR size, an integer.
    skip_broken:   skip unreadable images. Otherwise one unreadable image is an error.
    max_pixels:    images with more pixels count as unreadable.
    workers:       number of threads that decode.
    lr_rounded_up: accept LR of HR / scale pixels rounded up; see `read_pair`.
    """

    name: str
    entries: Sequence[ImageEntry]
    scale: int
    skip_broken: bool
    max_pixels: int | None
    workers: int
    lr_rounded_up: bool = False

    def key(self) -> str:
        """A hash of everything that the store's content depends on."""

        def fingerprint(entry: ImageEntry) -> str:
            try:
                return entry.fingerprint(self.scale)
            except BrokenImageError:
                if self.skip_broken:
                    return "unreadable"
                raise

        with ThreadPoolExecutor(self.workers) as pool:
            fingerprints = list(pool.map(fingerprint, self.entries))
        names = [entry.name for entry in self.entries]
        limit = [] if self.max_pixels is None else [self.max_pixels]  # it may exclude images
        content = [FORMAT, LR_METHOD, self.scale, names, fingerprints, *limit]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def build(self, folder: Path) -> None:
        """Build the store in FOLDER.part, sync it to the disk, and rename it to FOLDER. The caller holds the lock.

        Raises UserError if images cannot be used; RunError if the folder cannot be written, such as on a full disk.
        """
        for leftover in folder.parent.glob(f"{folder.name}.part*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        part = folder.with_name(f"{folder.name}.part")
        try:
            part.mkdir()
            self._write_files(part)
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        except OSError as error:
            raise RunError(
                f"the decoded images of {self.name} cannot be written to {folder.parent}: {error.strerror or error}. "
                "Choose a folder with enough space by data.cache_dir=FOLDER"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _write_files(self, folder: Path) -> None:
        """Write pictures.bin and index.json."""
        images: list[dict[str, object]] = []
        skipped: list[tuple[str, str]] = []
        resized: set[bool] = set()
        rounded_up = False
        digest = hashlib.sha256()
        # The file is closed before the folder is renamed: Windows doesn't rename folders that contain open files.
        with (folder / PIXELS).open("wb") as file, closing(self._decode_all()) as pairs:
            for entry, pair in pairs:
                if isinstance(pair, BrokenImageError):
                    if not self.skip_broken:
                        raise broken_image_error(str(pair)) from pair
                    skipped.append((entry.name, str(pair)))
                    continue
                checksum, size = _write_pair(file, pair), pair.hr.shape[:2]
                image = {"name": entry.name, "size": size, "digest": pair.digest}
                images.append({**image, "check": checksum, "grey": _is_grey(pair.hr)})
                resized.add(pair.resized)
                rounded_up |= pair.rounded_up
                digest.update(f"{size} {checksum}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        if not images:
            raise UserError(
                f"{self.name}: none of its {len(self.entries)} images can be read; the first: {skipped[0][1]}"
            )
        content: dict[str, object] = {"name": self.name, "scale": self.scale, "digest": digest.hexdigest()}
        content |= {"pictures": images, "left_out": skipped}
        content["lr_from"] = "both" if len(resized) > 1 else "imresize" if resized.pop() else "files"
        content["lr_rounded_up"] = rounded_up
        write_index(folder / INDEX, {**content, "written": (folder / PIXELS).stat().st_mtime_ns})

    def _decode_all(self) -> Generator[tuple[ImageEntry, ImagePair | BrokenImageError]]:
        """All entries in order, each with its pair or with the reason why it cannot be read; with a progress bar."""

        def decode(entry: ImageEntry) -> tuple[ImageEntry, ImagePair | BrokenImageError]:
            try:
                return entry, read_pair(entry, self.scale, self.max_pixels, self.lr_rounded_up)
            except BrokenImageError as error:
                return entry, error

        with ThreadPoolExecutor(self.workers) as pool:
            pairs = _map_in_order(pool, decode, self.entries, ahead=4 * self.workers)
            title = f"Preparing {self.name} ×{self.scale}"
            yield from tqdm(pairs, title, len(self.entries), unit="image", leave=False, disable=None)


def broken_image_error(reason: str) -> BrokenImageError:
    """The error for an unreadable image if skip_broken is false."""
    return BrokenImageError(reason, cure="Repair or remove it, or skip it by data.skip_broken=true")


def _write_pair(file: BinaryIO, pair: ImagePair) -> str:
    """Append HR and LR to the file; return the SHA-256 of the written bytes."""
    checksum = hashlib.sha256()
    for pixels in (pair.hr, pair.lr):
        content = np.ascontiguousarray(pixels).data
        checksum.update(content)
        file.write(content)
    return checksum.hexdigest()


def _map_in_order(
    pool: ThreadPoolExecutor, function: Callable[[In], Out], items: Sequence[In], ahead: int
) -> Iterator[Out]:
    """Yield the results in the order of the items. At most `ahead` of them are computed or kept in memory."""
    pending: deque[Future[Out]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _is_grey(image: np.ndarray) -> bool:
    """Whether the three channels of (H, W, 3) are equal in every pixel, whatever the file format says."""
    return all(bool((row[:, :1] == row[:, 1:]).all()) for row in image)
