"""The image files of a folder and its subfolders, and the files that are left out."""

import logging
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from upnet.imaging.reading import is_image_file

log = logging.getLogger(__name__)

_OF_SYSTEMS = {"thumbs.db", "desktop.ini"}
_NAMED = 3

DANGLING = "a link to nothing"
CYCLE = "a link to a folder that is listed already"
OTHER = "not a format that is read"


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds. Hidden files and folders are in neither list.

    images:   sorted by path.
    skipped: a reason -> the paths it holds for.
    """

    folder: Path
    images: Sequence[Path]
    skipped: dict[str, list[Path]]

    def summary(self) -> str | None:
        """A sentence that names what is left out; None where nothing is."""
        if not self.skipped:
            return None
        parts = []
        for reason, paths in self.skipped.items():
            names = ", ".join(path.relative_to(self.folder).as_posix() for path in paths[:_NAMED])
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            parts.append(f"{names}{more} ({reason})")
        return f"{self.folder}: left out: {'; '.join(parts)}"


def list_images(folder: Path) -> Listing:
    """List a folder and all below it. Links are followed; a folder that several links lead to is listed once."""
    images: list[Path] = []
    skipped: dict[str, list[Path]] = {}
    seen = {_identity(path) for path in folder.resolve().parents}
    # Folders come before links to folders, so that a folder is listed under its own name where it has one.
    folders, links = deque([folder]), deque[Path]()
    while folders or links:
        linked = not folders
        where = links.popleft() if linked else folders.popleft()
        try:
            identity = _identity(where)
            if identity in seen:
                skipped.setdefault(CYCLE, []).append(where)
                continue
            seen.add(identity)
            with os.scandir(where) as found:
                inside = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            skipped.setdefault(f"it can't be read: {error.strerror or error}", []).append(where)
            continue
        for entry in inside:
            path = where / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(path)
            elif not entry.is_file():
                skipped.setdefault(DANGLING if entry.is_symlink() else OTHER, []).append(path)
            elif is_image_file(path):
                images.append(path)
            elif entry.name.lower() not in _OF_SYSTEMS:
                skipped.setdefault(OTHER, []).append(path)
    return Listing(folder, sorted(images), {reason: sorted(paths) for reason, paths in sorted(skipped.items())})


@lru_cache(maxsize=1024)
def warn_once(sentence: str) -> None:
    """Log a warning, once per process: a folder is listed at several stages of a start."""
    log.warning("%s", sentence)


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
