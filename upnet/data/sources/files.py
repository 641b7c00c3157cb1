"""Image files in folders: listing, naming and hashing. All sources that read files use it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from upnet.data.sources.base import ImageEntry, file_sha256
from upnet.data.sources.pair_folders import is_hr
from upnet.imaging.listing import list_images, warn_once
from upnet.imaging.reading import SUFFIXES, BrokenImageError, read_rgb
from upnet.utils.errors import UserError
from upnet.utils.paths import expand_user
from upnet.utils.printable import printable_name


class FileEntry(ImageEntry):
    """An image file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path

    def compute_digest(self) -> str:
        """SHA-256 of the file. Raises BrokenImageError if it cannot be read."""
        return image_file_sha256(self.path)

    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """The file's image, (H, W, 3) uint8. Raises BrokenImageError as `read_rgb` does."""
        return read_rgb(self.path, max_pixels)


def image_file_sha256(path: Path) -> str:
    """SHA-256 of an image file. Raises BrokenImageError if it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise BrokenImageError(f"{path} cannot be read: {error.strerror or error}") from error


def existing_folder(folder: str | Path, setting: str = "") -> Path:
    """The folder as a Path, with `~` expanded.

    setting: the name of the setting or argument that contains the folder, for the error message.

    Raises UserError if the folder doesn't exist or is a file.
    """
    path = expand_user(folder)
    if not path.exists():
        problem = f"there is no folder {path} (working directory: {Path.cwd()})"
        raise UserError(problem, setting=setting, cure="Give the path of a folder of images")
    if not path.is_dir():
        raise UserError(f"{path} is a file", setting=setting, cure="Give the folder that contains the images")
    return path


def find_images(folder: Path, setting: str = "", allow_empty: bool = False) -> dict[str, Path]:
    """All images in the folder and its subfolders: {relative path without suffix: file}, sorted by name.

    Hidden files and folders are ignored, links are followed, and a warning names the files that are skipped. If two
    files differ only in their suffix, both names keep it.

    setting:     the name of the setting or argument that contains the folder, for the error message.
    allow_empty: return {} if there is no image.

    Raises UserError if there is no image and `allow_empty` is false.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name in ("b.png", "a.png", "a.jpg"):
    ...         (Path(folder) / name).touch()
    ...     list(find_images(Path(folder)))
    ['a.jpg', 'a.png', 'b']
    """
    listing = list_images(folder)
    skipped = listing.summary()
    if not listing.images:
        if allow_empty:
            return {}
        problem = f"there is no image in {folder}" + (f" ({skipped})" if skipped else "")
        raise UserError(problem, setting=setting, allowed=f"images end in {', '.join(SUFFIXES)}")
    if skipped:
        warn_once(skipped)
    stems = [path.relative_to(folder).with_suffix("").as_posix() for path in listing.images]
    counts = Counter(stems)
    files = {
        path.relative_to(folder).as_posix() if counts[stem] > 1 else stem: path
        for path, stem in zip(listing.images, stems, strict=True)
    }
    return dict(sorted(files.items()))


def folder_set_name(folder: Path) -> str:
    """The name of an image set: the folder's name, or its parent's if the folder is called HR or GT. Printable text."""
    folder = folder.resolve()
    return printable_name((folder.parent.name if is_hr(folder.name) else folder.name) or "images")


def file_entries(files: dict[str, Path]) -> Sequence[FileEntry]:
    """One entry per item of {name: file}."""
    return [FileEntry(name, path) for name, path in files.items()]
