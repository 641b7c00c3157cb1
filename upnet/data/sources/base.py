"""What a source of images is: names, fingerprints, and pixels on demand."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np


class ImageEntry(ABC):
    """One image of a source. It holds what is needed to read the image, not the image.

    name: unique within its source; a file's path relative to the source's folder, without its suffix.
    """

    name: str

    @cached_property
    def digest(self) -> str:
        """A hash of what the image is made from: equal digests mean equal pixels."""
        return self.compute_digest()

    @abstractmethod
    def compute_digest(self) -> str:
        """Compute the digest. Raises ValueError, naming the file, where it cannot be read."""

    @abstractmethod
    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """The HR image, (H, W, 3) uint8.

        max_pixels: a limit against decompression bombs, see `upnet.imaging.reading.read_rgb`.

        Raises ValueError, naming the file, where it cannot be read, or has more pixels.
        """

    def fingerprint(self, scale: int) -> str:
        """A hash of what the pair of HR and LR at this scale is made from."""
        return self.digest

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray | None:
        """The LR image that belongs to it, (h, w, 3) uint8; None where LR is to be made from the HR image."""
        return None


class Source(ABC):
    """A named collection of images, in a fixed order. It knows no scale until it is asked about one."""

    name: str

    @abstractmethod
    def images(self) -> Sequence[ImageEntry]:
        """All of them, sorted by name. Raises ValueError where there are none."""

    def check(self, scale: int) -> None:
        """Raise ValueError, before anything is decoded, where the source cannot serve this scale."""
        return

    @property
    def folder(self) -> Path | None:
        """The folder that its store may lie beside; None where the images come from no folder."""
        return None


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
