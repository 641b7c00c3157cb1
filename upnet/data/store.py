"""Store: the decoded images of a source, HR and LR, in one memory-mapped file of uint8.

FOLDER/pictures.bin   HR of image 0 (H, W, 3), LR of image 0 (h, w, 3), HR of image 1, …
FOLDER/index.json     names, sizes and checksums
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from upnet.utils.errors import UserError
from upnet.utils.printable import escape_unprintable, printable_name

FORMAT = 2
"""Version of the store's files. Increase it when existing stores can no longer be read."""
PIXELS = "pictures.bin"
INDEX = "index.json"


class DamagedStoreError(UserError):
    """A store that is incomplete, altered, or of another format. `build_store` builds it again."""


class Store:
    """Pairs of HR and LR images of one scale, read-only.

    folder:        the folder that `build_store` has written.
    name:          the name of the source.
    scale:         HR size / LR size, an integer.
    names:         names of the images, sorted, as printable text.
    sizes:         (H, W) of each HR image; its LR image has exactly (H / scale, W / scale).
    digests:       SHA-256 of the pixels of each HR image before it was cropped; the file format has no influence.
    digest:        SHA-256 over the pixels of all HR and LR images, in order.
    grey:          whether each image is grey: its three channels are equal in every pixel.
    lr_from:       "files" if LR images come from the source, "imresize" if they were made from HR, or "both".
    lr_rounded_up: whether LR files had HR / scale pixels rounded up, and were cropped.
    skipped:       (name, reason) of each image that could not be read.

    Raises DamagedStoreError if the folder contains no intact store.

    >>> from tempfile import TemporaryDirectory
    >>> from upnet.data import Photographs, build_store
    >>> cache = TemporaryDirectory()
    >>> store = build_store(Photographs(["coffee"]), scale=4, cache_dir=cache.name)
    >>> store.hr(0).shape, store.lr(0).shape
    ((400, 600, 3), (100, 150, 3))
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
        self._checksums: list[str] = [image["check"] for image in images]
        ends = np.cumsum([0] + [_pair_bytes(size, self.scale) for size in self.sizes])
        self._offsets: list[int] = ends.tolist()
        self._bytes = _memory_map(self.folder / PIXELS, self._offsets[-1])
        self._verify_if_modified(index["written"])

    def __len__(self) -> int:
        return len(self.names)

    def __reduce__(self) -> tuple[type["Store"], tuple[Path]]:
        return Store, (self.folder,)  # pickle the path only: a worker process maps the file itself

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
        """All bytes of pictures.bin, (bytes,) uint8: HR and LR of image 0, HR and LR of image 1, …"""
        return self._bytes

    @property
    def hr_offsets(self) -> list[int]:
        """The index in `pixels` at which each HR image begins; its LR image follows."""
        return self._offsets[:-1]

    def verify(self) -> None:
        """Read all images. Raises DamagedStoreError if a byte differs from what was written."""
        for index, checksum in enumerate(self._checksums):
            content = self._bytes[self._offsets[index] : self._offsets[index + 1]].data
            if hashlib.sha256(content).hexdigest() != checksum:
                raise DamagedStoreError(f"{self.folder / PIXELS}: the pixels of {self.names[index]} have changed")

    def _verify_if_modified(self, written: int) -> None:
        """Verify the pixels if the file was modified after it was written: verifying at every start takes seconds.

        written: modification time in ns.
        """
        path = self.folder / PIXELS
        if path.stat().st_mtime_ns != written:
            self.verify()
            with suppress(OSError):
                os.utime(path, ns=(written, written))  # a copied store is verified only once


def _memory_map(path: Path, size: int) -> np.ndarray:
    """Map a file of `size` bytes read-only, as (size,) uint8. Raises DamagedStoreError if it has another size."""
    if not path.is_file():
        raise DamagedStoreError(f"{path} is missing")
    if path.stat().st_size != size:
        raise DamagedStoreError(f"{path} has {path.stat().st_size} bytes instead of {size}")
    try:
        return np.asarray(np.memmap(path, np.uint8, "r"))
    except OSError as error:
        raise DamagedStoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _pair_bytes(size: tuple[int, int], scale: int) -> int:
    """Bytes of an HR image of size (H, W) and its LR image."""
    height, width = size
    return 3 * (height * width + (height // scale) * (width // scale))


def write_index(path: Path, content: Mapping[str, object]) -> None:
    """Write index.json with a checksum of its content, synced to the disk. Raises OSError."""
    body = json.dumps(content)
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"format": FORMAT, "check": hashlib.sha256(body.encode()).hexdigest(), "body": body}))
        file.flush()
        os.fsync(file.fileno())


def _read_index(path: Path) -> dict[str, Any]:
    """The content of index.json. Raises DamagedStoreError if it is missing, altered, or of another format."""
    try:
        envelope = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedStoreError(f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise DamagedStoreError(f"{path} cannot be read: {error}") from error
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise DamagedStoreError(f"{path} is not of format {FORMAT}")
    body = str(envelope.get("body"))
    if hashlib.sha256(body.encode()).hexdigest() != envelope.get("check"):
        raise DamagedStoreError(f"{path} has changed after it was written")
    return json.loads(body)
