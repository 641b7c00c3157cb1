"""The store: images decoded once into one flat file of uint8, HR beside LR, memory-mapped.

FOLDER/pictures.bin   HR of picture 0 (H, W, 3), LR of picture 0 (h, w, 3), HR of picture 1, …
FOLDER/index.json     what lies where, with checksums
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from upnet.utils.printable import escape_unprintable, printable_name

FORMAT = 2
"""Counted up whenever a store written before no longer means the same."""
PIXELS = "pictures.bin"
INDEX = "index.json"


class DamagedStoreError(ValueError):
    """A store that is incomplete, altered, or of another format; it has to be built again."""


class Store:
    """Pairs of HR and LR images of one scale, read-only.

    folder:   where it lies, as upnet.data.build leaves it.
    name:     of the source it was made from.
    scale:    HR height / LR height.
    names:    of the images, sorted, as `upnet.utils.printable` makes them text.
    sizes:    (H, W) of the HR images; those of LR are an exact `scale`-th.
    digests:  SHA-256 of each decoded HR image before it was cropped, whatever its file format.
    digest:   SHA-256 over the pixels of all HR and LR images, in order.
    grey:     which images have a single channel: their three are equal in every pixel.
    lr_from:  "files" where LR images came with the HR ones, "imresize" where they were made here, or "both".
    lr_rounded_up: whether LR files had HR / scale pixels rounded up, and were cropped.
    left_out: (name, reason) of the images that could not be read.

    Raises DamagedStoreError, a ValueError, where the folder holds no intact store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        index = _read_index(self.folder / INDEX)
        images: Sequence[Mapping[str, Any]] = index["pictures"]
        self.name: str = index["name"]
        self.scale: int = index["scale"]
        self.digest: str = index["digest"]
        self.names: list[str] = [printable_name(image["name"]) for image in images]
        self.sizes: list[tuple[int, int]] = [(image["size"][0], image["size"][1]) for image in images]
        self.digests: list[str] = [image["digest"] for image in images]
        self.grey: list[bool] = [image["grey"] for image in images]
        self.lr_from: str = index["lr_from"]
        self.lr_rounded_up: bool = index.get("lr_rounded_up", False)
        self.skipped: list[tuple[str, str]] = [
            (printable_name(name), escape_unprintable(reason)) for name, reason in index["left_out"]
        ]
        self._checks: list[str] = [image["check"] for image in images]
        ends = np.cumsum([0] + [_pair_bytes(size, self.scale) for size in self.sizes])
        self._offsets: list[int] = ends.tolist()
        self._bytes = _map(self.folder / PIXELS, self._offsets[-1])
        self._trust(index["written"])

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        return Store, (self.folder,)  # a worker process maps the file itself

    def __repr__(self) -> str:
        return f"Store({self.name!r}, scale={self.scale}, images={len(self)}, folder={str(self.folder)!r})"

    def hr(self, index: int) -> np.ndarray:
        """A read-only view of an HR image, (H, W, 3) uint8."""
        height, width = self.sizes[index]
        start = self._offsets[index]
        return self._bytes[start : start + height * width * 3].reshape(height, width, 3)

    def lr(self, index: int) -> np.ndarray:
        """A read-only view of an LR image, (H / scale, W / scale, 3) uint8."""
        height, width = self.sizes[index]
        start = self._offsets[index] + height * width * 3
        return self._bytes[start : self._offsets[index + 1]].reshape(height // self.scale, width // self.scale, 3)

    @property
    def pixels(self) -> np.ndarray:
        """Everything, (bytes,) uint8, as the file has it: HR and LR image by image."""
        return self._bytes

    @property
    def hr_offsets(self) -> list[int]:
        """Where in `pixels` each HR image starts; its LR image follows it."""
        return self._offsets[:-1]

    def verify(self) -> None:
        """Read everything. Raises DamagedStoreError where a byte isn't what was written."""
        for index, check in enumerate(self._checks):
            content = self._bytes[self._offsets[index] : self._offsets[index + 1]].data
            if hashlib.sha256(content).hexdigest() != check:
                raise DamagedStoreError(
                    f"{self.folder / PIXELS}: the pixels of {self.names[index]} are not what was written"
                )

    def _trust(self, written: int) -> None:
        """Verify a file that was touched after it was written; any other is believed, or every start takes seconds."""
        path = self.folder / PIXELS
        if path.stat().st_mtime_ns != written:
            self.verify()
            with suppress(OSError):
                os.utime(path, ns=(written, written))  # a copied store is verified once, not at every start


def _map(path: Path, size: int) -> np.ndarray:
    """The file as (size,) uint8, mapped read-only."""
    if not path.is_file():
        raise DamagedStoreError(f"{path} is missing")
    if path.stat().st_size != size:
        raise DamagedStoreError(f"{path} has {path.stat().st_size} bytes where its index says {size}")
    try:
        return np.asarray(np.memmap(path, np.uint8, "r"))
    except OSError as error:
        raise DamagedStoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _pair_bytes(size: tuple[int, int], scale: int) -> int:
    height, width = size
    return 3 * (height * width + (height // scale) * (width // scale))


def write_index(path: Path, content: Mapping[str, object]) -> None:
    """Write index.json with a checksum of itself, synced to the disk."""
    body = json.dumps(content)
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"format": FORMAT, "check": hashlib.sha256(body.encode()).hexdigest(), "body": body}))
        file.flush()
        os.fsync(file.fileno())


def _read_index(path: Path) -> dict[str, Any]:
    try:
        outer = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedStoreError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise DamagedStoreError(f"{path} cannot be read: {error}") from error
    if not isinstance(outer, dict) or outer.get("format") != FORMAT:
        raise DamagedStoreError(f"{path} is not of format {FORMAT}")
    body = str(outer.get("body"))
    if hashlib.sha256(body.encode()).hexdigest() != outer.get("check"):
        raise DamagedStoreError(f"{path} is not what was written")
    return json.loads(body)
