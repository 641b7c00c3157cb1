"""Build a store from a source's images: decode in threads, write to a temporary folder, rename it when complete."""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from upnet.data.sources.base import ImageEntry
from upnet.data.store import FORMAT, INDEX, PIXELS, write_index
from upnet.imaging.imresize import imresize
from upnet.imaging.reading import BrokenImageError
from upnet.utils.errors import UserError

RESIZING = "imresize, bicubic a=-0.5, antialiased, border symmetric, uint8"
"""How LR is made if a source provides none; part of every store's key."""


class Pair(NamedTuple):
    """A decoded image: hr (H, W, 3), lr (H / scale, W / scale, 3), uint8.

    digest:     SHA-256 of the HR image before it was cropped.
    resized:    whether LR was made from HR here; otherwise it was read from a file.
    rounded_up: whether the LR file had HR / scale pixels rounded up.
    """

    hr: np.ndarray
    lr: np.ndarray
    digest: str
    resized: bool
    rounded_up: bool = False


def read_pair(entry: ImageEntry, scale: int, max_pixels: int | None = None, lr_rounded_up: bool = False) -> Pair:
    """Decode one image and its LR image, which is made from the complete HR image if the source provides none.

    lr_rounded_up: accept LR of HR / scale pixels rounded up. Its last row and column, which extend beyond HR, are
                   cropped, and so are the last rows and columns of HR beyond a multiple of the scale.

    Raises BrokenImageError if the image cannot be read; UserError if it is smaller than one LR pixel, or if the size
    of LR isn't HR / scale.

    >>> from upnet.data import DeadLeaves
    >>> pair = read_pair(DeadLeaves(count=1, size=33).images()[0], scale=2)
    >>> pair.hr.shape, pair.lr.shape
    ((32, 32, 3), (16, 16, 3))
    """
    hr = entry.read(max_pixels)
    digest = hashlib.sha256(repr(hr.shape).encode() + np.ascontiguousarray(hr).tobytes()).hexdigest()
    lr = entry.read_lr(scale, max_pixels)
    height, width = (side // scale for side in hr.shape[:2])
    if min(height, width) < 1:
        raise UserError(f"{entry.name}: an image of {_size_text(hr)} pixels is too small for scale {scale}")
    if lr is None:
        hr = hr[: scale * height, : scale * width]
        lr = imresize(hr, Fraction(1, scale), border="symmetric")
        return Pair(hr, lr, digest, resized=True)
    rounded_up = lr.shape[:2] != (height, width)
    if rounded_up and not (lr_rounded_up and _is_rounded_up(hr, lr, scale)):
        raise UserError(
            f"{entry.name}: LR must be HR / {scale}, that is {height}×{width} pixels for HR of {_size_text(hr)}; it is "
            f"{_size_text(lr)}",
            cure=_cure(hr, lr, scale),
        )
    return Pair(hr[: scale * height, : scale * width], lr[:height, :width], digest, False, rounded_up)


def _is_rounded_up(hr: np.ndarray, lr: np.ndarray, scale: int) -> bool:
    """Whether each side of LR is HR / scale, rounded down or up."""
    sides = zip(hr.shape[:2], lr.shape[:2], strict=True)
    return all(0 <= lr_side - hr_side // scale <= (hr_side % scale > 0) for hr_side, lr_side in sides)


ROUNDED_UP_CURE = (
    "Set data.lr_rounded_up=true to accept LR sizes that are rounded up: HR is cropped to a multiple of the scale, and "
    "LR to the same part"
)


def _cure(hr: np.ndarray, lr: np.ndarray, scale: int) -> str:
    """What to do about an LR image of a wrong size."""
    if _is_rounded_up(hr, lr, scale):
        return ROUNDED_UP_CURE
    ratio = round(hr.shape[0] / lr.shape[0])
    if ratio not in (0, scale) and _is_rounded_up(hr, lr, ratio):
        return f"These LR images are for scale={ratio}: set that scale, or give the LR images of scale {scale}"
    return "Make LR from HR again, or crop HR to the part that LR shows"


def _size_text(image: np.ndarray) -> str:
    return f"{image.shape[0]}×{image.shape[1]}"


In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class StoreBuilder:
    """The content of a store, and the way to build it.

    name:          the name of the source.
    skip_broken:   skip unreadable images. Otherwise one unreadable image rejects the complete source.
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
        """A hash of everything that the store's content depends on. max_pixels may have excluded images."""

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
        limit = [] if self.max_pixels is None else [self.max_pixels]
        content = [FORMAT, RESIZING, self.scale, names, fingerprints, *limit]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def build(self, folder: Path) -> None:
        """Build the store in FOLDER.part, sync it, and rename it to FOLDER. The caller holds the lock.

        Raises UserError if the folder cannot be written, or if images cannot be used.
        """
        for leftover in folder.parent.glob(f"{folder.name}.part*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        part = folder.with_name(f"{folder.name}.part")
        try:
            part.mkdir()
            self._fill(part)
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        except OSError as error:
            raise UserError(
                f"the decoded images of {self.name} cannot be written to {folder.parent}: {error.strerror or error}",
                cure="Choose a folder with enough space by data.cache_dir=FOLDER",
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _fill(self, part: Path) -> None:
        """Write pictures.bin and index.json."""
        images: list[dict[str, object]] = []
        left_out: list[tuple[str, str]] = []
        resized: set[bool] = set()
        rounded_up = False
        digest = hashlib.sha256()
        # The file is closed before the folder is renamed: Windows doesn't rename folders of open files.
        with (part / PIXELS).open("wb") as file, closing(self._decoded()) as decoded:
            for entry, pair in decoded:
                if isinstance(pair, BrokenImageError):
                    if not self.skip_broken:
                        raise broken_image_error(str(pair)) from pair
                    left_out.append((entry.name, str(pair)))
                    continue
                check, size = _write_pair(file, pair), pair.hr.shape[:2]
                images.append(
                    {
                        "name": entry.name,
                        "size": size,
                        "digest": pair.digest,
                        "check": check,
                        "grey": _is_grey(pair.hr),
                    }
                )
                resized.add(pair.resized)
                rounded_up |= pair.rounded_up
                digest.update(f"{size} {check}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        if not images:
            raise UserError(
                f"{self.name}: none of its {len(self.entries)} images can be read; the first: {left_out[0][1]}"
            )
        content: dict[str, object] = {"name": self.name, "scale": self.scale, "digest": digest.hexdigest()}
        content |= {"pictures": images, "left_out": left_out}
        content["lr_from"] = "both" if len(resized) > 1 else "imresize" if resized.pop() else "files"
        content["lr_rounded_up"] = rounded_up
        write_index(part / INDEX, {**content, "written": (part / PIXELS).stat().st_mtime_ns})

    def _decoded(self) -> Generator[tuple[ImageEntry, Pair | BrokenImageError]]:
        """Every entry with its pair, or with the reason why it cannot be read; in order, with a progress bar."""

        def decode(entry: ImageEntry) -> tuple[ImageEntry, Pair | BrokenImageError]:
            try:
                return entry, read_pair(entry, self.scale, self.max_pixels, self.lr_rounded_up)
            except BrokenImageError as error:
                return entry, error

        with ThreadPoolExecutor(self.workers) as pool:
            pairs = _map_in_order(pool, decode, self.entries, ahead=4 * self.workers)
            title = f"Preparing {self.name} ×{self.scale}"
            yield from tqdm(pairs, title, len(self.entries), unit="image", leave=False, disable=None)


def broken_image_error(reason: str) -> BrokenImageError:
    """The error for an unreadable image that is not to be skipped."""
    return BrokenImageError(f"{reason}; repair or remove it, or skip it by data.skip_broken=true")


def _write_pair(file: BinaryIO, pair: Pair) -> str:
    """Append HR and LR to the file; SHA-256 of the written bytes."""
    check = hashlib.sha256()
    for pixels in (pair.hr, pair.lr):
        content = np.ascontiguousarray(pixels).data
        check.update(content)
        file.write(content)
    return check.hexdigest()


def _map_in_order(
    pool: ThreadPoolExecutor, call: Callable[[In], Out], items: Sequence[In], ahead: int
) -> Iterator[Out]:
    """Results in the order of the items, of which at most `ahead` wait in memory."""
    pending: deque[Future[Out]] = deque()
    for item in items:
        pending.append(pool.submit(call, item))
        if len(pending) >= ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _is_grey(image: np.ndarray) -> bool:
    """Whether the three channels of (H, W, 3) are equal. The file format has no influence, only the pixels."""
    return all(bool((row[:, :1] == row[:, 1:]).all()) for row in image)
