"""Folder: an image source that reads HR images from a folder."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import existing_folder, file_entries, find_images, folder_set_name
from upnet.data.sources.pair_folders import hr_inside, pair_folders, reject_lr_images
from upnet.imaging.listing import warn_once
from upnet.utils.errors import UserError


class Folder(Source):
    """The images in a folder and its subfolders, as HR images. Each LR image is made from the complete HR image.

    root: the folder. If it contains a folder HR or GT, only the images in that one are used.

    Raises UserError if the folder is missing or a file, or if it contains HR and LR folders. `images` raises it if
    there are no images, or if some images are LR versions of others.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as root:
    ...     Image.new("RGB", (64, 48)).save(Path(root) / "cat.png")
    ...     [entry.name for entry in Folder(root).images()]
    ['cat']
    """

    def __init__(self, root: str) -> None:
        self.root = existing_folder(root, "root")
        self.name = folder_set_name(self.root)
        self._hr = hr_inside(self.root) or self.root
        pairs = pair_folders(self.root)
        if self._hr == self.root and pairs:
            raise UserError(
                f"{self.root} contains HR and LR images",
                setting="root",
                cure=f"Give the folder of HR images, {pairs[0].hr}, or use both by data=paired",
            )
        self._unused_lr = [pair.lr for pair in pairs if pair.hr == self._hr]

    @cached_property
    def _files(self) -> dict[str, Path]:
        # The error names no setting: here the folder may come from data.train.root, data.val_root or data.root.
        files = find_images(self._hr)
        reject_lr_images(self._hr, list(files.values()))
        for lr in self._unused_lr:
            warn_once(f"{self.root}: the LR images in {lr} are not used, LR is made from HR; data=paired uses them")
        return files

    def images(self) -> Sequence[ImageEntry]:
        """All images, sorted by their path relative to the folder."""
        return file_entries(self._files)

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.root
