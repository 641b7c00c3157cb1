"""What a source of pictures is: names, fingerprints, and pixels on demand."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np


class Entry(ABC):
    """One picture of a source. It holds what is needed to read the picture, not the picture.

    name: unique within its source; a file's path relative to the source's folder, without its suffix.
    """

    name: str

    @cached_property
    def digest(self) -> str:
        """A hash of what the picture is made from: equal digests mean equal pixels."""
        return self.hash()

    @abstractmethod
    def hash(self) -> str:
        """Compute the digest. Raises ValueError, naming the file, where it cannot be read."""

    @abstractmethod
    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """The HR picture, (H, W, 3) uint8.

        max_pixels: a limit against decompression bombs, see `upnet.imaging.reading.read_rgb`.

        Raises ValueError, naming the file, where it cannot be read, or has more pixels.
        """

    def fingerprint(self, scale: int) -> str:
        """A hash of what the pair of HR and LR at this scale is made from."""
        return self.digest

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray | None:
        """The LR picture that belongs to it, (h, w, 3) uint8; None where LR is to be made from the HR picture."""
        return None


class Source(ABC):
    """A named collection of pictures, in a fixed order. It knows no scale until it is asked about one."""

    name: str

    @abstractmethod
    def pictures(self) -> Sequence[Entry]:
        """All of them, sorted by name. Raises ValueError where there are none."""

    def check(self, scale: int) -> None:
        """Raise ValueError, before anything is decoded, where the source cannot serve this scale."""
        return

    @property
    def home(self) -> Path | None:
        """The folder that its store may lie beside; None where the pictures come from no folder."""
        return None


def hash_file(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
