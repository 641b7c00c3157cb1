"""How the images of a published set may lie in a folder."""

from dataclasses import dataclass
from pathlib import Path

from upnet.data.sources.files import find_images
from upnet.data.sources.pair_folders import reject_lr_images
from upnet.data.sources.paired import Paired
from upnet.imaging.listing import list_images
from upnet.imaging.reading import is_image_file

Pairs = dict[str, tuple[Path, Path | None]]
"""An image's name -> its HR file, and its LR file where there is one."""

SCALES = (2, 3, 4, 8)
"""Of the LR images that are in circulation."""


@dataclass(frozen=True)
class Layout:
    """A way for HR and LR images to lie in a set's folder. {title} and {scale} stand for what they say.

    hr:   the folders of HR images, all of which have to be there.
    lr:   the folders that may hold the LR images, with or without subfolders X2, X3, …; the first that does counts.
    mark: what follows the name of an HR and of an LR image, where both lie in one folder.
    bare: whether any folder might look like this, so that only one that bears the set's name, or was named by the user,
          is taken for it.
    """

    hr: tuple[str, ...]
    lr: tuple[str, ...] = ()
    mark: tuple[str, str] | None = None
    bare: bool = False

    def pairs(self, folder: Path, title: str, scale: int) -> Pairs:
        """The images that lie in the folder in this way, sorted by name; empty where there are none.

        Raises ValueError where HR and LR images don't pair off by name.
        """
        places = [self._place(folder, hr, title, scale) for hr in self.hr]
        if not all(place.is_dir() and (place != folder or _holds_images(place)) for place in places):
            return {}
        if self.mark is not None:
            return _marked(places[0], *(mark.format(scale=scale) for mark in self.mark))
        if len(places) > 1:
            found = {place: _images(place, title) for place in places}
            return {f"{place.name}/{name}": (path, None) for place in places for name, path in found[place].items()}
        large = _images(places[0], title)
        for lr in self.lr if large else ():
            small = self._place(folder, lr, title, scale)
            if small.is_dir() and _holds_images(small, below=True):
                paired = Paired(hr=str(places[0]), lr=str(small))
                if paired.has_scale(scale):
                    lr_files = paired.lr_files(scale)
                    return {name: (path, lr_files[name]) for name, path in large.items()}
        reject_lr_images(places[0], list(large.values()), title)
        return {name: (path, None) for name, path in large.items()}

    @staticmethod
    def _place(folder: Path, path: str, title: str, scale: int) -> Path:
        return child(folder, *Path(path.format(title=title, scale=scale)).parts)


PLAIN = Layout(hr=(".",), bare=True)
"""HR images, and nothing around them."""

BENCHMARK = (
    Layout(hr=("HR",), lr=("LR_bicubic", "LR"), bare=True),  # EDSR
    Layout(hr=("{title}_HR",), lr=("{title}_LR_x{scale}",)),  # super-image
    Layout(hr=("image_SRF_{scale}",), mark=("_SRF_{scale}_HR", "_SRF_{scale}_LR"), bare=True),  # SelfExSR
    Layout(hr=("GTmod12",), lr=("LRbicx{scale}",), bare=True),  # BasicSR
)
"""How the benchmarks are handed round, by who does so."""


def child(folder: Path, *names: str) -> Path:
    """A path below a folder, each of its names in upper or lower case."""
    for name in names:
        exact = folder / name
        if not exact.exists() and folder.is_dir():
            alike = [path for path in sorted(folder.iterdir()) if path.name.casefold() == name.casefold()]
            exact = alike[0] if alike else exact
        folder = exact
    return folder


def _holds_images(folder: Path, below: bool = False) -> bool:
    return bool(list_images(folder).images) if below else any(is_image_file(path) for path in folder.iterdir())


def _images(folder: Path, title: str) -> dict[str, Path]:
    return find_images(folder, title) if _holds_images(folder, below=True) else {}


def _marked(folder: Path, hr_mark: str, lr_mark: str) -> Pairs:
    """NAME_SRF_2_HR.png with NAME_SRF_2_LR.png. Raises ValueError where one of the two is missing."""
    files = {path.stem: path for path in sorted(folder.iterdir()) if is_image_file(path)}
    hr = {stem.removesuffix(hr_mark): path for stem, path in files.items() if stem.endswith(hr_mark)}
    lr = {stem.removesuffix(lr_mark): path for stem, path in files.items() if stem.endswith(lr_mark)}
    alone = sorted(hr.keys() ^ lr.keys())
    if alone:
        raise ValueError(
            f"Data: in {folder}, NAME{hr_mark} and NAME{lr_mark} don't pair off: one of the two is missing for "
            f"{', '.join(alone[:3])}{', …' * (len(alone) > 3)}"
        )
    return {name: (path, lr[name]) for name, path in hr.items()}
