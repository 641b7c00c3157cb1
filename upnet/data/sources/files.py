"""Finding picture files in folders, and what all sources made of files share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from upnet.command_line import user_path
from upnet.data.picture import SUFFIXES, BrokenPictureError, is_picture, read_rgb
from upnet.data.sources.base import Entry, hash_file


class FileEntry(Entry):
    """A picture in a file."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path

    def hash(self) -> str:
        """SHA-256 of the file. Raises BrokenPictureError, a ValueError, where it cannot be read."""
        return digest_of(self.path)

    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """The file's picture, (H, W, 3) uint8."""
        return read_rgb(self.path, max_pixels)


def digest_of(path: Path) -> str:
    """SHA-256 of a picture file. Raises BrokenPictureError, a ValueError, where it cannot be read."""
    try:
        return hash_file(path)
    except OSError as error:
        raise BrokenPictureError(f"{path} cannot be read: {error.strerror or error}") from error


def existing_folder(folder: str | Path, what: str) -> Path:
    """The folder as a Path. Raises ValueError where it doesn't exist, or is a file."""
    path = user_path(folder)
    if not path.exists():
        raise ValueError(
            f"{what}: there is no folder {path} (seen from {Path.cwd()}); give the path of a folder of pictures"
        )
    if not path.is_dir():
        raise ValueError(f"{what}: {path} is a file; give the folder that holds the pictures")
    return path


def find_pictures(folder: Path, what: str) -> dict[str, Path]:
    """Relative path without suffix -> file, for all pictures in the folder and below, sorted by name.

    Hidden files and folders don't count. Where two files differ in nothing but the suffix, both keep theirs.
    Raises ValueError where there is no picture.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if is_picture(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not files:
        raise ValueError(f"{what}: there is no picture in {folder}; pictures end in {', '.join(SUFFIXES)}")
    stems = [path.relative_to(folder).with_suffix("").as_posix() for path in files]
    shared = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) else set()
    names = [
        path.relative_to(folder).as_posix() if stem in shared else stem for path, stem in zip(files, stems, strict=True)
    ]
    return dict(sorted(zip(names, files, strict=True)))


def set_name(folder: Path) -> str:
    """What to call the pictures of a folder: its name, or the parent's where the folder is just called HR."""
    folder = folder.resolve()
    return (folder.parent.name if folder.name.upper() == "HR" else folder.name) or "pictures"


def entries(found: dict[str, Path]) -> Sequence[FileEntry]:
    """One entry per file."""
    return [FileEntry(name, path) for name, path in found.items()]


def layouts(root: Path) -> list[tuple[Path, Path]]:
    """Every (HR folder, LR folder) that stands in root by a known layout."""
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    pairs = []
    for name, path in folders.items():
        if name == "HR" or name.endswith("_HR"):
            stem = name[: -len("HR")]
            lr = [folders[other] for other in (f"{stem}LR_bicubic", f"{stem}LR") if other in folders]
            pairs += [(path, lr[0])] if lr else []
    return pairs
