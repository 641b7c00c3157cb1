"""PublishedSet: facts about a published image set, where to download it, and a source that finds it in a folder."""

import logging
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

from upnet.data.catalogue.layout import BENCHMARK, HR_ONLY, SCALES, Layout, Pairs, find_child
from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import FileEntry, image_file_sha256
from upnet.data.store_cache import checkout_data_folder
from upnet.imaging.reading import read_rgb
from upnet.utils.errors import UserError
from upnet.utils.overrides import quote_for_shell
from upnet.utils.paths import expand_user

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """An archive file to download, and the images in it that are extracted.

    url:              its address.
    folder:           the folder below the root that the images are extracted to. It must not exist before.
    inner_folder:     the folder in the archive that contains the images, at any depth; "": all images.
    size:             bytes, if known exactly.
    approximate_size: bytes, if only known roughly.
    checksum:         "sha256:…" or "md5:…", if known.
    count:            number of images in `inner_folder`, if known.
    scale:            the scale of the LR images, if the archive contains nothing else.
    """

    url: str
    folder: str
    inner_folder: str = ""
    size: int | None = None
    approximate_size: int | None = None
    checksum: str | None = None
    count: int | None = None
    scale: int | None = None

    @property
    def download_bytes(self) -> int:
        """Bytes to download; 0 if unknown."""
        return self.size or self.approximate_size or 0


@dataclass(frozen=True)
class DownloadSource:
    """One place to download a set from: archives that together contain it.

    provider: who provides them, in a few words.
    mirror:   whether the provider is not the author of the set.
    """

    provider: str
    archives: tuple[Archive, ...]
    mirror: bool = False

    @property
    def size_text(self) -> str:
        """The size of all archives, as text: "1.2 GB" or "70 MB"."""
        size = sum(archive.download_bytes for archive in self.archives)
        return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


class PublishedSet(Source):
    """A published image set. A subclass states the facts; the name of its module is the set's name in commands.

    root: the folder of the set, or a folder that contains it; None: data/ of the checkout.

    title:        the name that papers use.
    count:        number of images.
    training:     True for a training set, False for a benchmark.
    page:         the address of its description.
    terms:        the terms of use in a few words; `licence` states them in a sentence.
    downloads:    where it can be downloaded, in order of preference. Empty if it has to be requested from the authors,
                  as `instructions` then explains.
    folders:      possible names of the set's own folder, in the root or in one of the folders `parents`.
    layouts:      possible arrangements of HR and LR images in it.
    scales:       the scales of the LR images that are published with it.
    excluded:     names of images that are not used.

    LR images of the set are used if there are any at the requested scale; otherwise they are made from HR. `check` sets
    the scale of `images`.

    `check` and `images` raise UserError, with the command that downloads the set, if the images are missing.

    >>> published_sets()["set5"].title
    'Set5'
    """

    title: ClassVar[str]
    count: ClassVar[int]
    training: ClassVar[bool] = False
    page: ClassVar[str]
    terms: ClassVar[str]
    licence: ClassVar[str]
    downloads: ClassVar[tuple[DownloadSource, ...]] = ()
    instructions: ClassVar[str] = ""
    folders: ClassVar[tuple[str, ...]]
    parents: ClassVar[tuple[str, ...]] = ()
    layouts: ClassVar[tuple[Layout, ...]] = BENCHMARK
    scales: ClassVar[tuple[int, ...]] = ()
    excluded: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, root: str | None = None) -> None:
        self.root = data_folder() if root is None else expand_user(root)
        self._root_is_given = root is not None
        self._located: dict[int | None, tuple[Path, Pairs]] = {}
        self._scale: int | None = None
        self.name = self.title

    @classmethod
    def key(cls) -> str:
        """The set's name in commands: data=KEY, download KEY."""
        return cls.__module__.rpartition(".")[2]

    @property
    def folder(self) -> Path:
        """The set's own folder."""
        return self._locate(self._scale)[0]

    def check(self, scale: int) -> None:
        """Find the images for this scale. Raises UserError if they are missing, or if HR and LR names don't match."""
        folder, pairs = self._locate(scale)
        if len(pairs) != self.count and scale != self._scale:
            log.warning("%s has %d images, and %s contains %d", self.title, self.count, folder, len(pairs))
        self._scale = scale

    def images(self) -> Sequence[ImageEntry]:
        """The images for the scale of the last `check`, sorted by name."""
        return [PublishedEntry(name, hr, lr) for name, (hr, lr) in self._locate(self._scale)[1].items()]

    def find(self, scale: int | None = None) -> tuple[Path, Pairs] | None:
        """The set's folder, and the HR and LR file of each image, at one scale or at any; None if it is missing."""
        if not self.root.is_dir() or self._is_named_after_another_set():
            return None
        own_folders = [folder for folder in self._own_folders() if folder.is_dir()]
        all_folders = [*own_folders, self.root]
        certain_folders = [*own_folders, *([self.root] if self._root_is_given else [])]
        for layout in (*self.layouts, HR_ONLY):
            for folder in certain_folders if layout.ambiguous else all_folders:
                for layout_scale in (scale,) if scale is not None else SCALES:
                    pairs = layout.pairs(folder, self.title, layout_scale)
                    pairs = {name: pairs[name] for name in sorted(pairs) if Path(name).name not in self.excluded}
                    if pairs:
                        return folder, pairs
        return None

    def _locate(self, scale: int | None) -> tuple[Path, Pairs]:
        if scale not in self._located:
            located = self.find(scale)
            if located is None:
                raise self._missing()
            self._located[scale] = located
        return self._located[scale]

    def _own_folders(self) -> Iterator[Path]:
        """Possible paths of the set's own folder."""
        for parent in ("", *self.parents):
            for name in self.folders:
                yield find_child(self.root, *Path(parent).parts, name)

    def _is_named_after_another_set(self) -> bool:
        name = self.root.resolve().name.casefold()
        others = [other for other in PublishedSet.__subclasses__() if other is not type(self)]
        own = [folder.casefold() for folder in self.folders]
        return name not in own and any(name == folder.casefold() for other in others for folder in other.folders)

    def _missing(self) -> UserError:
        where = f"{self.root}" if self.root.is_absolute() else f"{self.root} (working directory: {Path.cwd()})"
        inner = [layout.hr[0] for layout in self.layouts if not layout.ambiguous and "{" not in layout.hr[0]]
        expected = ", ".join((*self.folders, *(f"{parent}/{self.folders[0]}" for parent in self.parents), *inner))
        plain = " or plain images" if self._root_is_given else ""
        root = f" --root {quote_for_shell(self.root)}" if self._root_is_given else ""
        download = f"Download them by `python -m upnet.data download {self.key()}{root}`"
        return UserError(
            f"{self.title}: its images are not in {where}; expected there: {expected}{plain}",
            cure=f"{download if self.downloads else self.instructions}; or name the folder that contains them by "
            f"data.root=FOLDER, or FOLDER/{self.key()} in a list of sets",
        )


class PublishedEntry(FileEntry):
    """An HR file, and its LR file if there is one."""

    def __init__(self, name: str, path: Path, lr: Path | None) -> None:
        super().__init__(name, path)
        self.lr = lr

    def fingerprint(self, scale: int) -> str:
        """The digests of the files."""
        return self.digest if self.lr is None else f"{self.digest}+{image_file_sha256(self.lr)}"

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray | None:
        """The LR file's image, (h, w, 3) uint8; None without an LR file."""
        return None if self.lr is None else read_rgb(self.lr, max_pixels)


def data_folder() -> Path:
    """The folder of downloaded sets: data/ of the checkout, or of the working directory without a checkout."""
    data = checkout_data_folder() or Path("data")
    return Path("data") if data.resolve() == Path("data").resolve() else data


PACKAGE = __name__.rpartition(".")[0]


@cache
def published_sets() -> dict[str, type[PublishedSet]]:
    """{name in commands: class} of every set: first benchmarks, then training sets, each from small to large."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{PACKAGE}.{module.name}")
    classes = sorted(PublishedSet.__subclasses__(), key=lambda cls: (cls.training, cls.count, cls.key()))
    return {cls.key(): cls for cls in classes if cls.__module__.startswith(f"{PACKAGE}.")}
