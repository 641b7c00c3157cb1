"""List the image files of a folder and its subfolders, and the files that are skipped, with reasons."""

import logging
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from upnet.imaging.reading import is_image_file

log = logging.getLogger(__name__)

_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_MAX_NAMES = 3

BROKEN_LINK = "a broken link"
LISTED_BEFORE = "a link to a folder that is already listed"
UNSUPPORTED = "not a supported format"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a folder and its subfolders; hidden files and folders are excluded.

    folder:  the folder that was listed.
    images:  image files, sorted by path.
    skipped: reason -> paths of other files and folders.
    """

    folder: Path
    images: Sequence[Path]
    skipped: dict[str, list[Path]]

    def summary(self) -> str | None:
        """A log message that names the skipped files; None if there are none."""
        if not self.skipped:
            return None
        parts = []
        for reason, paths in self.skipped.items():
            names = ", ".join(path.relative_to(self.folder).as_posix() for path in paths[:_MAX_NAMES])
            more = f" and {len(paths) - _MAX_NAMES} more" if len(paths) > _MAX_NAMES else ""
            parts.append(f"{names}{more} ({reason})")
        return f"{self.folder}: skipped: {'; '.join(parts)}"


def list_images(folder: Path) -> Listing:
    """List a folder and its subfolders. Links are followed; a folder is listed once, however many links lead to it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.png", "a.jpg", "notes.txt"):
    ...         Path(folder, name).touch()
    ...     listing = list_images(Path(folder))
    >>> [path.name for path in listing.images], list(listing.skipped)
    (['a.jpg', 'b.png'], ['not a supported format'])
    """
    images: list[Path] = []
    skipped: dict[str, list[Path]] = {}
    seen = {_identity(path) for path in folder.resolve().parents}
    # Folders are visited before links to folders, so that a folder is listed under its own name rather than a link's.
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        is_link = not folders
        current = links.popleft() if is_link else folders.popleft()
        try:
            identity = _identity(current)
            if identity in seen:
                skipped.setdefault(LISTED_BEFORE, []).append(current)
                continue
            seen.add(identity)
            with os.scandir(current) as entries:
                children = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            skipped.setdefault(f"cannot be read: {error.strerror or error}", []).append(current)
            continue
        for entry in children:
            path = current / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif not entry.is_file():
                skipped.setdefault(BROKEN_LINK if entry.is_symlink() else UNSUPPORTED, []).append(path)
            elif is_image_file(path):
                images.append(path)
            elif entry.name.lower() not in _SYSTEM_FILES:
                skipped.setdefault(UNSUPPORTED, []).append(path)
    return Listing(folder, sorted(images), {reason: sorted(paths) for reason, paths in sorted(skipped.items())})


@lru_cache(maxsize=1024)
def warn_once(message: str) -> None:
    """Log a warning once per process, since a command lists the same folder several times."""
    log.warning("%s", message)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
