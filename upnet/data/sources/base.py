"""The interface of an image source: names, digests, and pixels on demand."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np


class ImageEntry(ABC):
    """One image of a source. An entry knows how to read its image and doesn't hold the pixels.

    name: unique within its source. For a file it is the path relative to the source's folder, without the suffix.
    """

    name: str

    @cached_property
    def digest(self) -> str:
        """A hash of the input that the image is made from. Equal digests mean equal pixels."""
        return self.compute_digest()

    @abstractmethod
    def compute_digest(self) -> str:
        """Compute `digest`. Raises BrokenImageError if the file cannot be read."""

    @abstractmethod
    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """The HR image, (H, W, 3) uint8.

        max_pixels: an image with more pixels is rejected, see `upnet.imaging.reading.read_rgb`.

        Raises BrokenImageError if the file cannot be read or has too many pixels.
        """

    def fingerprint(self, scale: int) -> str:
        """A hash of the input that the pair of HR and LR image at this scale is made from."""
        return self.digest

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray | None:
        """The LR image that the source provides, (h, w, 3) uint8. None: LR is made from the HR image."""
        return None


class Source(ABC):
    """A named collection of images in a fixed order.

    name: shown in logs, tables and error messages.

    A subclass implements `images`:

    >>> class Gradient(Source):
    ...     name = "gradient"
    ...
    ...     def images(self):
    ...         return []
    >>> Gradient().folder is None
    True
    """

    name: str

    @abstractmethod
    def images(self) -> Sequence[ImageEntry]:
        """All images, sorted by name. Raises UserError if there are none."""

    def check(self, scale: int) -> None:
        """Raise UserError, before anything is decoded, if the source has no images for this scale."""
        return

    @property
    def folder(self) -> Path | None:
        """The folder of the images: their store is written to FOLDER/.upnet. None if they come from no folder."""
        return None


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal. Raises OSError if the file cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
