"""What a published set of images is: facts, addresses, and a source that finds its images in a folder."""

import logging
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import numpy as np

from upnet.data.catalogue.layout import BENCHMARK, PLAIN, SCALES, Layout, Pairs, child
from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import FileEntry, image_file_sha256
from upnet.data.store_cache import checkout_data_folder
from upnet.imaging.reading import read_rgb
from upnet.utils.overrides import quote_for_shell
from upnet.utils.paths import expand_user

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A file to download, and the images in it that are wanted.

    url:      its address.
    to:       the folder below the root that the images go to; it must not be there before.
    part:     the folder in the archive whose images are wanted, wherever in the archive it lies; "" means all.
    size:     bytes, where they are known exactly.
    roughly:  bytes, where they are not.
    checksum: "sha256:…" or "md5:…", where one is known.
    count:    images below `part`, where it is known.
    scale:    of the LR images in it, where there is nothing else in it.
    """

    url: str
    to: str
    part: str = ""
    size: int | None = None
    roughly: int | None = None
    checksum: str | None = None
    count: int | None = None
    scale: int | None = None

    @property
    def weight(self) -> int:
        """Bytes to download, as far as it is known."""
        return self.size or self.roughly or 0


@dataclass(frozen=True)
class DownloadSource:
    """One way to get a set: archives that together hold it.

    by:     who gives them, in a few words.
    mirror: whether that is somebody else than the authors of the set.
    """

    by: str
    archives: tuple[Archive, ...]
    mirror: bool = False

    @property
    def weight(self) -> str:
        """What there is to download, for people."""
        size = sum(archive.weight for archive in self.archives)
        return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


class PublishedSet(Source):
    """A set that somebody published. A subclass declares its facts; its module's name is what commands call it.

    root: the folder that holds the set, its own folder or one around it; None means data/ of the checkout.

    title:    the name that papers use.
    count:    images.
    training: whether it is trained on; a benchmark is scored only.
    page:     the address of its description.
    terms:    what one may do with it, in a few words; licence says it in a sentence.
    offers:   where it can be had, the first choice first; none where it has to be asked for, which by_hand explains.
    folders:  what the set's own folder is called, below the root or further below one of `around`.
    layouts:  how HR and LR images may lie in it.
    scales:   of the LR images that are published with it.
    excluded: names of images that are never used.

    LR images are used where the set has them at the scale that was asked for; others are made from HR. Which images
    they are is known once check() has told the scale.

    Raises ValueError, with the command that downloads the set, where the images aren't there.
    """

    title: ClassVar[str]
    count: ClassVar[int]
    training: ClassVar[bool] = False
    page: ClassVar[str]
    terms: ClassVar[str]
    licence: ClassVar[str]
    offers: ClassVar[tuple[DownloadSource, ...]] = ()
    by_hand: ClassVar[str] = ""
    folders: ClassVar[tuple[str, ...]]
    around: ClassVar[tuple[str, ...]] = ()
    layouts: ClassVar[tuple[Layout, ...]] = BENCHMARK
    scales: ClassVar[tuple[int, ...]] = ()
    excluded: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, root: str | None = None) -> None:
        self.root = data_folder() if root is None else expand_user(root)
        self._given = root is not None
        self._found: dict[int | None, tuple[Path, Pairs]] = {}
        self._scale: int | None = None
        self.name = self.title

    @classmethod
    def key(cls) -> str:
        """What commands call the set: data=KEY, download KEY."""
        return cls.__module__.rpartition(".")[2]

    @property
    def folder(self) -> Path:
        """The set's own folder."""
        return self._at(self._scale)[0]

    def check(self, scale: int) -> None:
        """Find the images for this scale. Raises ValueError where they aren't there, or don't pair off by name."""
        folder, pairs = self._at(scale)
        if len(pairs) != self.count and scale != self._scale:
            log.warning("%s has %d images, and %s holds %d", self.title, self.count, folder, len(pairs))
        self._scale = scale

    def images(self) -> Sequence[ImageEntry]:
        """The images for the scale that was checked last, sorted by name."""
        return [PublishedEntry(name, hr, lr) for name, (hr, lr) in self._at(self._scale)[1].items()]

    def find(self, scale: int | None = None) -> tuple[Path, Pairs] | None:
        """The set's folder, and the HR and LR file of each image for a scale, or for any; None if it isn't there."""
        if not self.root.is_dir() or self._is_another():
            return None
        named = [folder for folder in self._named() if folder.is_dir()]
        roots = [*named, self.root]
        bare = [*named, *([self.root] if self._given else [])]
        for layout in (*self.layouts, PLAIN):
            for folder in bare if layout.bare else roots:
                for one in (scale,) if scale is not None else SCALES:
                    pairs = layout.pairs(folder, self.title, one)
                    pairs = {name: pairs[name] for name in sorted(pairs) if Path(name).name not in self.excluded}
                    if pairs:
                        return folder, pairs
        return None

    def _at(self, scale: int | None) -> tuple[Path, Pairs]:
        if scale not in self._found:
            found = self.find(scale)
            if found is None:
                raise ValueError(self._missing())
            self._found[scale] = found
        return self._found[scale]

    def _named(self) -> Iterator[Path]:
        """Where below the root the set's own folder may be."""
        for place in ("", *self.around):
            for name in self.folders:
                yield child(self.root, *Path(place).parts, name)

    def _is_another(self) -> bool:
        """Whether the root bears the name of another set."""
        name = self.root.resolve().name.casefold()
        others = [other for other in PublishedSet.__subclasses__() if other is not type(self)]
        own = [folder.casefold() for folder in self.folders]
        return name not in own and any(name == folder.casefold() for other in others for folder in other.folders)

    def _missing(self) -> str:
        where = f"{self.root} (seen from {Path.cwd()})" if not self.root.is_absolute() else f"{self.root}"
        within = [layout.hr[0] for layout in self.layouts if not layout.bare and "{" not in layout.hr[0]]
        places = ", ".join((*self.folders, *(f"{place}/{self.folders[0]}" for place in self.around), *within))
        itself = " and images as such" if self._given else ""
        root = f" --root {quote_for_shell(self.root)}" if self._given else ""
        cure = f"get them by `python -m upnet.data download {self.key()}{root}`" if self.offers else self.by_hand
        return (
            f"{self.title}: its images are not in {where}, where {places}{itself} were looked for; "
            f"{cure}, or name the folder that holds them: data.root=FOLDER, in a list of sets FOLDER/{self.key()}"
        )


class PublishedEntry(FileEntry):
    """An HR file, and its LR file where there is one."""

    def __init__(self, name: str, path: Path, lr: Path | None) -> None:
        super().__init__(name, path)
        self.lr = lr

    def fingerprint(self, scale: int) -> str:
        """Of both files."""
        return self.digest if self.lr is None else f"{self.digest}+{image_file_sha256(self.lr)}"

    def read_lr(self, scale: int, max_pixels: int | None = None) -> np.ndarray | None:
        """The LR file's image, (h, w, 3) uint8."""
        return None if self.lr is None else read_rgb(self.lr, max_pixels)


def data_folder() -> Path:
    """Where downloaded sets go: data/ of the checkout, or of the current folder where upnet is installed elsewhere."""
    data = checkout_data_folder() or Path("data")
    return Path("data") if data.resolve() == Path("data").resolve() else data


HERE = __name__.rpartition(".")[0]


@cache
def published_sets() -> dict[str, type[PublishedSet]]:
    """Every set by what commands call it: the benchmarks first, then the training sets, each from small to large."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        import_module(f"{HERE}.{module.name}")
    classes = sorted(PublishedSet.__subclasses__(), key=lambda one: (one.training, one.count, one.key()))
    return {one.key(): one for one in classes if one.__module__.startswith(f"{HERE}.")}
