"""A store made of a source's images: decoded by several threads, written aside, and renamed when it is whole."""

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from upnet.data.sources.base import ImageEntry
from upnet.data.store import FORMAT, INDEX, PIXELS, write_index
from upnet.imaging.imresize import imresize
from upnet.imaging.reading import BrokenImageError

RESIZING = "imresize, bicubic a=-0.5, antialiased, border symmetric, uint8"
"""How LR is made where a source has none of its own; part of every store's key."""


class Pair(NamedTuple):
    """A decoded image: hr (H, W, 3), lr (H / scale, W / scale, 3), uint8.

    digest:     of the HR image as it was read.
    made:       whether LR was made here, rather than read from a file of its own.
    rounded_up: whether the LR file had HR / scale pixels rounded up.
    """

    hr: np.ndarray
    lr: np.ndarray
    digest: str
    made: bool
    rounded_up: bool = False


def read_pair(entry: ImageEntry, scale: int, max_pixels: int | None = None, lr_rounded_up: bool = False) -> Pair:
    """Decode one image and its LR, made from the whole HR image where the source has none.

    lr_rounded_up: accept LR of HR / scale pixels rounded up. Its last row and column, which lie partly beyond HR, are
                   cut off, as is what HR has beyond a multiple of the scale.

    Raises ValueError, naming the image, where it cannot be read, where it is smaller than one LR pixel, and where LR
    isn't HR / scale.
    """
    hr = entry.read(max_pixels)
    digest = hashlib.sha256(repr(hr.shape).encode() + np.ascontiguousarray(hr).tobytes()).hexdigest()
    lr = entry.read_lr(scale, max_pixels)
    height, width = (side // scale for side in hr.shape[:2])
    if min(height, width) < 1:
        raise ValueError(f"{entry.name}: an image of {_size(hr)} pixels is too small for scale {scale}")
    if lr is None:
        hr = hr[: scale * height, : scale * width]
        lr = imresize(hr, Fraction(1, scale), border="symmetric")
        return Pair(hr, lr, digest, made=True)
    rounded_up = lr.shape[:2] != (height, width)
    if rounded_up and not (lr_rounded_up and _is_rounded_up(hr, lr, scale)):
        raise ValueError(
            f"{entry.name}: LR must be HR / {scale}, that is {height}×{width} pixels for an HR of {_size(hr)}; "
            f"it is {_size(lr)}{_cure(hr, lr, scale)}"
        )
    return Pair(hr[: scale * height, : scale * width], lr[:height, :width], digest, False, rounded_up)


def _is_rounded_up(hr: np.ndarray, lr: np.ndarray, scale: int) -> bool:
    """Whether each side of LR is HR / scale, rounded down or up."""
    sides = zip(hr.shape[:2], lr.shape[:2], strict=True)
    return all(0 <= small - large // scale <= (large % scale > 0) for large, small in sides)


def _cure(hr: np.ndarray, lr: np.ndarray, scale: int) -> str:
    """What can be done about an LR image of another size."""
    if _is_rounded_up(hr, lr, scale):
        return (
            ", which is rounded up; data.lr_rounded_up=true accepts that, and crops HR to a multiple of the scale and "
            "LR to the same part"
        )
    ratio = round(hr.shape[0] / lr.shape[0])
    if ratio not in (0, scale) and _is_rounded_up(hr, lr, ratio):
        return f", as for scale={ratio}; take that scale, or the LR images of this one"
    return "; make LR again from HR, or crop HR to the part that LR shows"


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]}×{image.shape[1]}"


In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class StoreBuilder:
    """What a store is made of, and how.

    name:        of the source.
    skip_broken: leave unreadable images out, instead of refusing the whole source.
    max_pixels:  larger images count as unreadable.
    workers:     threads that decode.
    lr_rounded_up: accept LR of HR / scale pixels rounded up; see read_pair.
    """

    name: str
    entries: Sequence[ImageEntry]
    scale: int
    skip_broken: bool
    max_pixels: int | None
    workers: int
    lr_rounded_up: bool = False

    def key(self) -> str:
        """A hash of everything that the content of the store depends on; what is too large may have been left out."""

        def fingerprint(entry: ImageEntry) -> str:
            try:
                return entry.fingerprint(self.scale)
            except BrokenImageError:
                if self.skip_broken:
                    return "unreadable"
                raise

        with ThreadPoolExecutor(self.workers) as pool:
            prints = list(pool.map(fingerprint, self.entries))
        names = [entry.name for entry in self.entries]
        limit = [] if self.max_pixels is None else [self.max_pixels]
        return hashlib.sha256(json.dumps([FORMAT, RESIZING, self.scale, names, prints, *limit]).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Make the store beside its place, sync it, and move it there. The caller holds the lock."""
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
            raise ValueError(
                f"The decoded images of {self.name} cannot be written to {folder.parent}: {error.strerror or error}; "
                "name a folder with room by data.cache_dir=FOLDER"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _fill(self, part: Path) -> None:
        """Write pictures.bin and index.json."""
        images: list[dict[str, object]] = []
        left_out: list[tuple[str, str]] = []
        made: set[bool] = set()
        rounded_up = False
        whole = hashlib.sha256()

        def decode(entry: ImageEntry) -> tuple[ImageEntry, Pair | BrokenImageError]:
            try:
                return entry, read_pair(entry, self.scale, self.max_pixels, self.lr_rounded_up)
            except BrokenImageError as error:
                return entry, error

        with (part / PIXELS).open("wb") as file, ThreadPoolExecutor(self.workers) as pool:
            ready = _in_order(pool, decode, self.entries, ahead=4 * self.workers)
            for entry, pair in tqdm(
                ready,
                f"Preparing {self.name} ×{self.scale}",
                len(self.entries),
                unit="image",
                leave=False,
                disable=None,
            ):
                if isinstance(pair, BrokenImageError):
                    if not self.skip_broken:
                        raise BrokenImageError(refusal(str(pair))) from pair
                    left_out.append((entry.name, str(pair)))
                    continue
                check = hashlib.sha256()
                for pixels in (pair.hr, pair.lr):
                    plane = np.ascontiguousarray(pixels).data
                    check.update(plane)
                    file.write(plane)
                size = pair.hr.shape[:2]
                told = {"name": entry.name, "size": size, "digest": pair.digest, "check": check.hexdigest()}
                images.append({**told, "grey": _is_grey(pair.hr)})
                made.add(pair.made)
                rounded_up |= pair.rounded_up
                whole.update(f"{size} {check.hexdigest()}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        if not images:
            raise ValueError(
                f"{self.name}: none of its {len(self.entries)} images can be read; the first: {left_out[0][1]}"
            )
        content: dict[str, object] = {"name": self.name, "scale": self.scale, "digest": whole.hexdigest()}
        content |= {"pictures": images, "left_out": left_out}
        content["lr_from"] = "both" if len(made) > 1 else "imresize" if made.pop() else "files"
        content["lr_rounded_up"] = rounded_up
        write_index(part / INDEX, {**content, "written": (part / PIXELS).stat().st_mtime_ns})


def refusal(reason: str) -> str:
    """Why a source is refused, and what to do about it."""
    return f"{reason}; repair or remove it, or go on without it by data.skip_broken=true"


def _in_order(pool: ThreadPoolExecutor, call: Callable[[In], Out], items: Sequence[In], ahead: int) -> Iterator[Out]:
    """Results in the order of the items, never more than `ahead` of them waiting in memory."""
    waiting: deque[Future[Out]] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _is_grey(image: np.ndarray) -> bool:
    """Whether the three channels of (H, W, 3) are one. The pixels tell, and not the file, so that they alone decide."""
    return all(bool((row[:, :1] == row[:, 1:]).all()) for row in image)
