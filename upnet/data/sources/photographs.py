"""Photographs that ship inside scikit-image: real images without a download."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import FileEntry
from upnet.imaging.reading import is_image_file

VALIDATION = ("astronaut", "chelsea", "coffee", "rocket")
"""The four that upnet validates on where no other images are given."""


class Photographs(Source):
    """Images of scikit-image's package data, by name.

    names: which ones; the four of upnet's built-in validation by default. Others that may serve for training are, for
           example, camera, coins, grass, gravel, brick, moon, motorcycle_left.

    Raises ValueError for a name that the installed scikit-image doesn't hold.
    """

    name = "photographs"

    def __init__(self, names: Sequence[str] = VALIDATION) -> None:
        held = _held()
        missing = [name for name in names if name not in held]
        if missing or not names:
            raise ValueError(
                f"Photographs: names={list(names)} must be some of what this scikit-image holds ({', '.join(held)})"
                + (f"; it doesn't hold {', '.join(missing)}" if missing else "")
            )
        self.names = tuple(sorted(set(names)))
        self._files = {name: held[name] for name in self.names}

    def images(self) -> Sequence[ImageEntry]:
        """The chosen photographs, sorted by name."""
        return [FileEntry(name, path) for name, path in self._files.items()]


def _held() -> dict[str, Path]:
    """Name -> file of the images inside the installed scikit-image, found without importing it (it is slow to)."""
    spec = find_spec("skimage")
    folder = Path((spec.origin if spec else None) or "").parent / "data"
    files = sorted(path for path in folder.iterdir() if is_image_file(path))
    # The multi-page stacks are test data for readers of TIFF, no photographs.
    return {path.stem: path for path in files if not path.stem.startswith("multipage")}
