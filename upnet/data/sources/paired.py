"""HR images with their LR images beside them, as DIV2K and the benchmark sets come."""

import re
from collections.abc import Container, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import FileEntry, existing_folder, find_images, folder_set_name, image_file_sha256
from upnet.data.sources.pair_folders import PairFolders, pair_folders, scale_folders
from upnet.imaging.reading import read_rgb

_SCALE_MARK = re.compile(r"[xX](\d+)$")


class PairedEntry(FileEntry):
    """An HR file and its lr_files."""

    def __init__(self, name: str, path: Path, source: "Paired") -> None:
        super().__init__(name, path)
        self._source = source

    def fingerprint(self, scale: int) -> str:
        """Of both files."""
        return f"{self.digest}+{image_file_sha256(self._source.lr_files(scale)[self.name])}"

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray:
        """The LR file's image, (h, w, 3) uint8."""
        return read_rgb(self._source.lr_files(scale)[self.name], max_pixels)


class Paired(Source):
    """HR and LR images, paired by name: HR/NAME.png with LR_bicubic/X2/NAMEx2.png.

    root: a folder in one of the layouts HR + LR_bicubic/X2 (the benchmark sets of EDSR) or *_HR + *_LR_bicubic/X2
          (DIV2K), X2 being the scale. GT may stand for HR and LQ for LR, in upper or lower case, and the LR folders of
          several scales may stand beside each other: GTmod12 + LRbicx2 + LRbicx3 (BasicSR).
    hr:   instead of root, the folder of HR images;
    lr:   and the folder of LR images, with or without subfolders X2, X3, …

    An LR image is called like its HR image, with or without x2 behind the name; the suffixes may differ. HR may
    exceed scale × LR by less than scale pixels, and is then cropped to it at the top left.

    Raises ValueError where a folder is missing, where a root has no such layout or more than one, and, once the scale
    is known, where the names don't pair off.
    """

    def __init__(self, root: str | None = None, hr: str | None = None, lr: str | None = None) -> None:
        if (root is None) == (hr is None and lr is None) or (hr is None) != (lr is None):
            raise ValueError(f"Paired: give either root or both hr and lr; got root={root}, hr={hr}, lr={lr}")
        if root is not None:
            self.root = existing_folder(root, "Paired")
            self.hr, self.lr, self._marked = _layout(self.root)
        else:
            self.hr, self.lr = existing_folder(str(hr), "Paired, hr"), existing_folder(str(lr), "Paired, lr")
            self.root, self._marked = self.hr, scale_folders(self.lr)
        self.name = folder_set_name(self.root)
        self._lr_files: dict[int, dict[str, Path]] = {}

    @property
    def folder(self) -> Path:
        """The root, or the HR folder where the two folders were given one by one."""
        return self.root

    @cached_property
    def _found(self) -> dict[str, Path]:
        return find_images(self.hr, "Paired, HR")

    def images(self) -> Sequence[ImageEntry]:
        """The HR images, sorted by name."""
        return [PairedEntry(name, path, self) for name, path in self._found.items()]

    def check(self, scale: int) -> None:
        """Raise ValueError where not every HR image has one LR image of this scale, and the other way round."""
        self.lr_files(scale)

    def has_scale(self, scale: int) -> bool:
        """Whether there are LR images of this scale: in a subfolder X2, or else by the names, where they tell it."""
        marked = self._marked
        if marked:
            return scale in marked
        told = {mark for name in self._flat if (mark := _mark(name, self._found))}
        return not told or scale in told

    def lr_files(self, scale: int) -> dict[str, Path]:
        """HR name -> its LR file. Raises ValueError where the names don't pair off."""
        if scale not in self._lr_files:
            self._lr_files[scale] = self._pair(scale)
        return self._lr_files[scale]

    @cached_property
    def _flat(self) -> dict[str, Path]:
        return find_images(self.lr, "Paired, LR")

    def _pair(self, scale: int) -> dict[str, Path]:
        if not self.has_scale(scale):
            raise ValueError(
                f"Paired: {self.lr} has no LR images of scale {scale}: there is no folder X{scale} in it, "
                f"and no NAMEx{scale}; use Folder on {self.hr} to have them made"
            )
        lr = self._marked.get(scale, self.lr)
        found: dict[str, Path] = {}
        orphans: list[str] = []
        for name, path in (find_images(lr, "Paired, LR") if self._marked else self._flat).items():
            mark = _mark(name, self._found)
            owner = name[: -len(f"x{mark}")] if mark == scale else name
            if owner in self._found and owner not in found:
                found[owner] = path
            elif mark in (None, scale) or self._marked:  # a flat folder may hold several scales
                orphans.append(name)
        widows = [name for name in self._found if name not in found]
        if widows or orphans:
            told = [f"{len(widows)} HR without LR ({_some(widows)})"] if widows else []
            told += [f"{len(orphans)} LR without HR ({_some(orphans)})"] if orphans else []
            raise ValueError(
                f"Paired: the images of {self.hr} and {lr} don't match by name: {' and '.join(told)}; "
                f"the LR image of NAME is called NAMEx{scale} or NAME"
            )
        return found


def _mark(name: str, owners: Container[str]) -> int | None:
    """The scale behind an LR image's name (2 of img_001x2); None for one without, and for a name that HR has too."""
    match = None if name in owners else _SCALE_MARK.search(name)
    return int(match[1]) if match else None


def _some(names: Sequence[str]) -> str:
    """The first few names."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _layout(root: Path) -> PairFolders:
    """The one layout of root. Raises ValueError where there is none, or more than one."""
    pairs = pair_folders(root)
    if not pairs:
        raise ValueError(
            f"Paired: {root} has neither HR and LR_bicubic nor NAME_HR and NAME_LR_bicubic in it; "
            "name the two folders by hr=… and lr=…, or use Folder, which makes LR itself"
        )
    if len(pairs) > 1:
        found = ", ".join(pair.hr.name for pair in pairs)
        raise ValueError(f"Paired: {root} holds several sets ({found}); name one of them by hr=… and lr=…")
    return pairs[0]
