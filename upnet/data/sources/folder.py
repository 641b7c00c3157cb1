"""A folder of HR pictures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from upnet.data.sources.base import Entry, Source
from upnet.data.sources.files import entries, existing_folder, find_pictures, set_name
from upnet.data.sources.pair_folders import hr_inside, pair_folders, refuse_pairs
from upnet.imaging.listing import say_once


class Folder(Source):
    """All pictures in a folder and below it, HR only: LR is made from each whole picture.

    root: the folder. Where it holds a folder HR or GT, only the pictures in that one count.

    Raises ValueError where the folder is missing or a file, where HR and LR folders in it would be mixed up, and, once
    the pictures are asked for, where there are none, or where some are LR pictures of others.
    """

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root, "Folder")
        self.name = set_name(self.root)
        self._hr = hr_inside(self.root) or self.root
        pairs = pair_folders(self.root)
        if self._hr == self.root and pairs:
            raise ValueError(
                f"Folder: {self.root} holds HR and LR pictures; give the folder of HR pictures, {pairs[0].hr}, "
                "or take Paired, which uses both"
            )
        self._unused = [pair.lr for pair in pairs if pair.hr == self._hr]

    @cached_property
    def _found(self) -> dict[str, Path]:
        found = find_pictures(self._hr, "Folder")
        refuse_pairs(self._hr, list(found.values()), "Folder")
        for lr in self._unused:
            say_once(f"{self.root}: the LR images in {lr} are not used, LR is made from HR; data=paired uses them")
        return found

    def pictures(self) -> Sequence[Entry]:
        """All pictures, sorted by their path below the folder."""
        return entries(self._found)

    @property
    def home(self) -> Path:
        """The folder itself."""
        return self.root
