"""A folder of HR pictures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from upnet.data.sources.base import Entry, Source
from upnet.data.sources.files import entries, existing_folder, find_pictures, set_name


class Folder(Source):
    """All pictures in a folder and below it, HR only: LR is made from each whole picture.

    root: the folder.

    Raises ValueError where the folder is missing, is a file, or holds no picture.
    """

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root, "Folder")
        self.name = set_name(self.root)

    @cached_property
    def _found(self) -> dict[str, Path]:
        return find_pictures(self.root, "Folder")

    def pictures(self) -> Sequence[Entry]:
        """All pictures, sorted by their path below the folder."""
        return entries(self._found)

    @property
    def home(self) -> Path:
        """The folder itself."""
        return self.root
