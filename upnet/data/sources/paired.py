"""Paired: an image source that reads HR and LR images from two folders, as in DIV2K and the benchmark sets."""

import re
from collections.abc import Container, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import FileEntry, existing_folder, find_images, folder_set_name, image_file_sha256
from upnet.data.sources.pair_folders import PairFolders, pair_folders, scale_folders
from upnet.imaging.reading import read_rgb
from upnet.utils.errors import UserError

_SCALE_SUFFIX = re.compile(r"[xX](\d+)$")


class PairedEntry(FileEntry):
    """An image of a Paired source: an HR file, and an LR file for each scale."""

    def __init__(self, name: str, path: Path, source: "Paired") -> None:
        super().__init__(name, path)
        self._source = source

    def fingerprint(self, scale: int) -> str:
        """The digests of the HR file and the LR file."""
        return f"{self.digest}+{image_file_sha256(self._source.lr_files(scale)[self.name])}"

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray:
        """The LR file's image, (h, w, 3) uint8."""
        return read_rgb(self._source.lr_files(scale)[self.name], max_pixels)


class Paired(Source):
    """HR and LR images, paired by name: HR/NAME.png with LR_bicubic/X2/NAMEx2.png.

    root: a folder in one of the layouts HR + LR_bicubic/X2 (the benchmark sets of EDSR) or *_HR + *_LR_bicubic/X2
          (DIV2K), where X2 is the scale. GT may replace HR, and LQ may replace LR, in upper or lower case. There may
          be one LR folder per scale: GTmod12 + LRbicx2 + LRbicx3 (BasicSR).
    hr:   the folder of HR images, if root is None.
    lr:   the folder of LR images, if root is None; with or without subfolders X2, X3, …

    An LR image has the name of its HR image, with or without x2 at the end; their formats may differ. HR may exceed
    scale × LR by less than scale pixels, and is then cropped at the bottom and the right.

    Raises UserError if a folder is missing, or if root contains no such layout or more than one. `check` and
    `lr_files` raise it if the names of HR and LR don't match.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as root:
    ...     for name, side in (("HR/cat.png", 64), ("LR_bicubic/X2/catx2.png", 32)):
    ...         (Path(root) / name).parent.mkdir(parents=True)
    ...         Image.new("RGB", (side, side)).save(Path(root) / name)
    ...     [entry.read_lr(2).shape for entry in Paired(root).images()]
    [(32, 32, 3)]
    """

    def __init__(self, root: str | None = None, hr: str | None = None, lr: str | None = None) -> None:
        if (root is None) == (hr is None and lr is None) or (hr is None) != (lr is None):
            raise UserError(f"Paired: give either root, or both hr and lr; got root={root}, hr={hr}, lr={lr}")
        if root is not None:
            self.root = existing_folder(root, "root")
            self.hr, self.lr, self._lr_by_scale = _single_pair(self.root)
        else:
            self.hr, self.lr = existing_folder(str(hr), "hr"), existing_folder(str(lr), "lr")
            self.root, self._lr_by_scale = self.hr, scale_folders(self.lr)
        self.name = folder_set_name(self.root)
        self._lr_files: dict[int, dict[str, Path]] = {}

    @property
    def folder(self) -> Path:
        """The root, or the HR folder if hr and lr were given."""
        return self.root

    @cached_property
    def _hr_files(self) -> dict[str, Path]:
        return find_images(self.hr, "hr")

    @cached_property
    def _all_lr_files(self) -> dict[str, Path]:
        return find_images(self.lr, "lr")

    def images(self) -> Sequence[ImageEntry]:
        """The HR images, sorted by name."""
        return [PairedEntry(name, path, self) for name, path in self._hr_files.items()]

    def check(self, scale: int) -> None:
        """Raise UserError unless each HR image has exactly one LR image of this scale, and vice versa."""
        self.lr_files(scale)

    def has_scale(self, scale: int) -> bool:
        """Whether there are LR images of this scale: a folder X2, or else file names that end in x2 or in no scale."""
        if self._lr_by_scale:
            return scale in self._lr_by_scale
        scales = {suffix for name in self._all_lr_files if (suffix := _scale_suffix(name, self._hr_files))}
        return not scales or scale in scales

    def lr_files(self, scale: int) -> dict[str, Path]:
        """{HR name: LR file}. Raises UserError if the names of HR and LR don't match."""
        if scale not in self._lr_files:
            self._lr_files[scale] = self._match(scale)
        return self._lr_files[scale]

    def _match(self, scale: int) -> dict[str, Path]:
        """{HR name: LR file} of one scale."""
        if not self.has_scale(scale):
            raise UserError(
                f"{self.lr} has no LR images of scale {scale}: neither a folder X{scale} nor files NAMEx{scale}",
                cure=f"Use data=folder data.root={self.hr}, which makes LR from HR",
            )
        lr = self._lr_by_scale.get(scale, self.lr)
        matched: dict[str, Path] = {}
        without_hr: list[str] = []
        for name, path in (find_images(lr, "lr") if self._lr_by_scale else self._all_lr_files).items():
            suffix = _scale_suffix(name, self._hr_files)
            hr_name = name[: -len(f"x{suffix}")] if suffix == scale else name
            if hr_name in self._hr_files and hr_name not in matched:
                matched[hr_name] = path
            elif suffix in (None, scale) or self._lr_by_scale:  # one folder may contain the files of several scales
                without_hr.append(name)
        without_lr = [name for name in self._hr_files if name not in matched]
        if without_lr or without_hr:
            counts = [f"{len(without_lr)} HR without LR ({_first_names(without_lr)})"] if without_lr else []
            counts += [f"{len(without_hr)} LR without HR ({_first_names(without_hr)})"] if without_hr else []
            raise UserError(
                f"the images in {self.hr} and {lr} don't match by name: {' and '.join(counts)}",
                cure=f"Call the LR image of NAME either NAMEx{scale} or NAME",
            )
        return matched


def _scale_suffix(name: str, hr_names: Container[str]) -> int | None:
    """The scale at the end of an LR image's name: 2 for img_001x2. None without one, or if an HR image has the name."""
    match = None if name in hr_names else _SCALE_SUFFIX.search(name)
    return int(match[1]) if match else None


def _first_names(names: Sequence[str]) -> str:
    """At most three of the names, for an error message."""
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _single_pair(root: Path) -> PairFolders:
    """The HR and LR folders in root. Raises UserError if there is none, or more than one pair."""
    pairs = pair_folders(root)
    if not pairs:
        raise UserError(
            f"{root} has neither HR and LR_bicubic nor NAME_HR and NAME_LR_bicubic",
            setting="root",
            cure="Give the two folders by hr=… and lr=…, or use Folder, which makes LR from HR",
        )
    if len(pairs) > 1:
        names = ", ".join(pair.hr.name for pair in pairs)
        raise UserError(
            f"{root} contains several sets ({names})", setting="root", cure="Give one of them by hr=… and lr=…"
        )
    return pairs[0]
