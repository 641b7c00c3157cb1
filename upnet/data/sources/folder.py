"""A folder of HR pictures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from upnet.data.sources.base import Entry, Source
from upnet.data.sources.files import entries, existing_folder, find_pictures, layouts, set_name


class Folder(Source):
    """All pictures in a folder and below it, HR only: LR is made from each whole picture.

    root: the folder. Where it holds a folder HR, only the pictures in that one count.

    Raises ValueError where the folder is missing or a file, where HR and LR folders in it would be mixed up, and, once
    the pictures are asked for, where there are none.
    """

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root, "Folder")
        self.name = set_name(self.root)
        self._hr = self.root / "HR" if (self.root / "HR").is_dir() else self.root
        if self._hr == self.root and (pairs := layouts(self.root)):
            raise ValueError(
                f"Folder: {self.root} holds HR and LR pictures; give the folder of HR pictures, {pairs[0][0]}, "
                "or take Paired, which uses both"
            )

    @cached_property
    def _found(self) -> dict[str, Path]:
        return find_pictures(self._hr, "Folder")

    def pictures(self) -> Sequence[Entry]:
        """All pictures, sorted by their path below the folder."""
        return entries(self._found)

    @property
    def home(self) -> Path:
        """The folder itself."""
        return self.root
