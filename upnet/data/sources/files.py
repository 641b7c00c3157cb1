"""Finding image files in folders, and what all sources made of files share."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from upnet.data.sources.base import ImageEntry, file_sha256
from upnet.data.sources.pair_folders import is_hr
from upnet.imaging.listing import list_images, warn_once
from upnet.imaging.reading import SUFFIXES, BrokenImageError, read_rgb
from upnet.utils.paths import expand_user
from upnet.utils.printable import printable_name


class FileEntry(ImageEntry):
    """An image in a file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path

    def compute_digest(self) -> str:
        """SHA-256 of the file. Raises BrokenImageError, a ValueError, where it cannot be read."""
        return image_file_sha256(self.path)

    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """The file's image, (H, W, 3) uint8."""
        return read_rgb(self.path, max_pixels)


def image_file_sha256(path: Path) -> str:
    """SHA-256 of an image file. Raises BrokenImageError, a ValueError, where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise BrokenImageError(f"{path} cannot be read: {error.strerror or error}") from error


def existing_folder(folder: str | Path, what: str) -> Path:
    """The folder as a Path. Raises ValueError where it doesn't exist, or is a file."""
    path = expand_user(folder)
    if not path.exists():
        raise ValueError(
            f"{what}: there is no folder {path} (seen from {Path.cwd()}); give the path of a folder of images"
        )
    if not path.is_dir():
        raise ValueError(f"{what}: {path} is a file; give the folder that holds the images")
    return path


def find_images(folder: Path, what: str) -> dict[str, Path]:
    """Relative path without suffix -> file, for all images in the folder and below, sorted by name.

    Hidden files and folders don't count, links are followed, and a warning names the files that are left out. Where two
    files differ in nothing but the suffix, both keep theirs.
    Raises ValueError where there is no image.
    """
    listing = list_images(folder)
    remark = listing.summary()
    if not listing.images:
        raise ValueError(
            f"{what}: there is no image in {folder}; images end in {', '.join(SUFFIXES)}"
            + (f". {remark}" if remark else "")
        )
    if remark:
        warn_once(remark)
    stems = [path.relative_to(folder).with_suffix("").as_posix() for path in listing.images]
    counts = Counter(stems)
    found = {
        path.relative_to(folder).as_posix() if counts[stem] > 1 else stem: path
        for path, stem in zip(listing.images, stems, strict=True)
    }
    return dict(sorted(found.items()))


def folder_set_name(folder: Path) -> str:
    """The name of a folder's images, as text: the folder's name, or its parent's if the folder is called HR or GT."""
    folder = folder.resolve()
    return printable_name((folder.parent.name if is_hr(folder.name) else folder.name) or "images")


def entries(found: dict[str, Path]) -> Sequence[FileEntry]:
    """One entry per file."""
    return [FileEntry(name, path) for name, path in found.items()]
