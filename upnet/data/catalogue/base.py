"""PublishedSet: a published image set as an image source, with its licence and its downloads."""

import logging
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

from upnet.data.catalogue.archives import DownloadSource
from upnet.data.catalogue.layout import BENCHMARK, HR_ONLY, SCALES, Layout, Pairs, find_child
from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import FileEntry, image_file_sha256
from upnet.data.store_cache import checkout_data_folder
from upnet.imaging.reading import read_rgb
from upnet.utils.errors import UserError
from upnet.utils.overrides import quote_for_shell
from upnet.utils.paths import expand_user

log = logging.getLogger(__name__)


class PublishedSet(Source):
    """A published image set in a folder. The name of a subclass's module is the set's name in commands.

    root: the folder of the set, or a folder that contains it; None: data/ of the checkout.

    A subclass defines these class attributes:

    title:        the name that papers use.
    count:        number of images.
    training:     True for a training set, False for a benchmark.
    page:         URL of its description.
    terms:        the terms of use in a few words.
    licence:      the terms of use in a sentence.
    downloads:    the sources to download it from, in order of preference; empty if it can only be requested from its
                  authors.
    instructions: how to request it, if `downloads` is empty.
    folders:      possible names of the set's folder.
    parents:      possible folders between the root and the set's folder, such as "benchmark".
    layouts:      possible layouts of HR and LR images in the set's folder.
    scales:       scales of the LR images that are published with it.
    excluded:     names of images that are not used.

    If the folder contains LR images of the requested scale, they are used; otherwise LR is made from HR. `check` sets
    the scale that `images` uses.

    `check` and `images` raise UserError if the images are missing or the names of HR and LR images don't match.

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
        """The set's folder. Raises UserError if the images are missing."""
        return self._locate(self._scale)[0]

    def check(self, scale: int) -> None:
        """Find the images for this scale. Raises UserError if they are missing or HR and LR don't match by name."""
        folder, pairs = self._locate(scale)
        if len(pairs) != self.count and scale != self._scale:
            log.warning("%s has %d images, and %s contains %d", self.title, self.count, folder, len(pairs))
        self._scale = scale

    def images(self) -> Sequence[ImageEntry]:
        """The images for the scale of the last `check`, sorted by name."""
        return [PublishedEntry(name, hr, lr) for name, (hr, lr) in self._locate(self._scale)[1].items()]

    def find(self, scale: int | None = None) -> tuple[Path, Pairs] | None:
        """The set's folder and {name: (HR file, LR file or None)}; None if the set is not below the root.

        scale: the scale of the LR images; None: any scale.
        """
        if not self.root.is_dir() or self._is_named_after_another_set():
            return None
        named = [folder for folder in self._set_folders() if folder.is_dir()]  # they have the set's name
        named_or_given = [*named, self.root] if self._root_is_given else named
        for layout in (*self.layouts, HR_ONLY):
            for folder in named_or_given if layout.ambiguous else [*named, self.root]:
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

    def _set_folders(self) -> Iterator[Path]:
        """Possible paths of the set's folder."""
        for parent in ("", *self.parents):
            for name in self.folders:
                yield find_child(self.root, *Path(parent).parts, name)

    def _is_named_after_another_set(self) -> bool:
        name = self.root.resolve().name.casefold()
        others = [other for other in PublishedSet.__subclasses__() if other is not type(self)]
        names = [folder.casefold() for folder in self.folders]
        return name not in names and any(name == folder.casefold() for other in others for folder in other.folders)

    def _missing(self) -> UserError:
        root = f"{self.root}" if self.root.is_absolute() else f"{self.root} (working directory: {Path.cwd()})"
        hr_folders = [layout.hr[0] for layout in self.layouts if not layout.ambiguous and "{" not in layout.hr[0]]
        expected = ", ".join((*self.folders, *(f"{parent}/{self.folders[0]}" for parent in self.parents), *hr_folders))
        or_images = " or the images" if self._root_is_given else ""
        option = f" --root {quote_for_shell(self.root)}" if self._root_is_given else ""
        download = f"Download them by `upnet data download {self.key()}{option}`"
        return UserError(
            f"{self.title}: its images are not in {root}; expected there: {expected}{or_images}",
            cure=f"{download if self.downloads else self.instructions}; or name the folder that contains them by "
            f"data.root=FOLDER, or FOLDER/{self.key()} in a list of sets",
        )


class PublishedEntry(FileEntry):
    """An image of a published set: an HR file, and its LR file if there is one."""

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
    """{name in commands: class} of all sets: benchmarks, then training sets; each sorted by the number of images."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{PACKAGE}.{module.name}")
    classes = sorted(PublishedSet.__subclasses__(), key=lambda cls: (cls.training, cls.count, cls.key()))
    return {cls.key(): cls for cls in classes if cls.__module__.startswith(f"{PACKAGE}.")}
