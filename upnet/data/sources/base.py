"""Source and ImageEntry: the interface of an image source, which provides names, digests, and pixels on demand."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np


class ImageEntry(ABC):
    """One image of a source. An entry reads its pixels on demand and doesn't keep them.

    name: unique in its source. For a file it is the path relative to the source's folder, without the suffix.

    A subclass implements `compute_digest` and `read`:

    >>> class Black(ImageEntry):
    ...     name = "black"
    ...
    ...     def compute_digest(self):
    ...         return "black 8x8"
    ...
    ...     def read(self, max_pixels=None):
    ...         return np.zeros((8, 8, 3), np.uint8)
    >>> Black().digest
    'black 8x8'
    """

    name: str

    @cached_property
    def digest(self) -> str:
        """A hash of what the image is made from: a file or parameters. Equal digests mean equal pixels."""
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
        """A hash of what the pair of HR and LR image of this scale is made from."""
        return self.digest

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray | None:
        """The LR image of this scale that the source provides, (h, w, 3) uint8; None if it provides none.

        Raises BrokenImageError as `read` does.
        """
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
        """Raise UserError if the source has no images for this scale. Nothing is decoded."""
        return

    @property
    def folder(self) -> Path | None:
        """The folder of the images; None if they come from no folder. Stores are written to FOLDER/.upnet."""
        return None


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal. Raises OSError if the file cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
