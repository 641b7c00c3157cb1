"""A folder of HR images."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import entries, existing_folder, find_images, folder_set_name
from upnet.data.sources.pair_folders import hr_inside, pair_folders, reject_lr_images
from upnet.imaging.listing import warn_once


class Folder(Source):
    """All images in a folder and below it, HR only: LR is made from each whole image.

    root: the folder. Where it holds a folder HR or GT, only the images in that one count.

    Raises ValueError where the folder is missing or a file, where HR and LR folders in it would be mixed up, and, once
    the images are asked for, where there are none, or where some are LR images of others.
    """

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root, "Folder")
        self.name = folder_set_name(self.root)
        self._hr = hr_inside(self.root) or self.root
        pairs = pair_folders(self.root)
        if self._hr == self.root and pairs:
            raise ValueError(
                f"Folder: {self.root} holds HR and LR images; give the folder of HR images, {pairs[0].hr}, "
                "or take Paired, which uses both"
            )
        self._unused = [pair.lr for pair in pairs if pair.hr == self._hr]

    @cached_property
    def _found(self) -> dict[str, Path]:
        found = find_images(self._hr, "Folder")
        reject_lr_images(self._hr, list(found.values()), "Folder")
        for lr in self._unused:
            warn_once(f"{self.root}: the LR images in {lr} are not used, LR is made from HR; data=paired uses them")
        return found

    def images(self) -> Sequence[ImageEntry]:
        """All images, sorted by their path below the folder."""
        return entries(self._found)

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.root
