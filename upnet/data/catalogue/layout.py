"""Layout: the folders and file names of the HR and LR images of a published set."""

from dataclasses import dataclass
from pathlib import Path

from upnet.data.sources.files import find_images
from upnet.data.sources.pair_folders import reject_lr_images
from upnet.data.sources.paired import Paired
from upnet.imaging.listing import list_images
from upnet.imaging.reading import is_image_file
from upnet.utils.errors import UserError

Pairs = dict[str, tuple[Path, Path | None]]
"""{name: (HR file, LR file or None)}."""

SCALES = (2, 3, 4, 8)
"""The scales of LR images that are published."""


@dataclass(frozen=True)
class Layout:
    """Where HR and LR images are in a set's folder. In paths, {title} and {scale} are replaced.

    hr:        the folders of HR images, all of which must exist.
    lr:        possible folders of LR images, with or without subfolders X2, X3, …; the first one with images is used.
    suffixes:  the ends of the names of HR and LR files, if both are in one folder.
    ambiguous: whether several sets use this layout. It is accepted only in a folder that has the set's name or that the
               user has named.

    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> layout = Layout(hr=("{title}_HR",))
    >>> with TemporaryDirectory() as folder:
    ...     (Path(folder) / "Set5_HR").mkdir()
    ...     Image.new("RGB", (8, 8)).save(Path(folder) / "Set5_HR" / "baby.png")
    ...     list(layout.pairs(Path(folder), title="Set5", scale=2))
    ['baby']
    """

    hr: tuple[str, ...]
    lr: tuple[str, ...] = ()
    suffixes: tuple[str, str] | None = None
    ambiguous: bool = False

    def pairs(self, folder: Path, title: str, scale: int) -> Pairs:
        """The images in a folder of this layout, sorted by name; empty if the folder has another layout.

        Raises UserError if the names of HR and LR images don't match.
        """
        hr_folders = [self._path(folder, hr, title, scale) for hr in self.hr]
        if not all(hr.is_dir() and (hr != folder or _contains_images(hr)) for hr in hr_folders):
            return {}
        if self.suffixes is not None:
            return _pairs_by_suffix(hr_folders[0], *(suffix.format(scale=scale) for suffix in self.suffixes))
        if len(hr_folders) > 1:
            return {
                f"{hr.name}/{name}": (path, None)
                for hr in hr_folders
                for name, path in find_images(hr, allow_empty=True).items()
            }
        hr_images = find_images(hr_folders[0], allow_empty=True)
        for lr in self.lr if hr_images else ():
            lr_folder = self._path(folder, lr, title, scale)
            if lr_folder.is_dir() and list_images(lr_folder).images:
                paired = Paired(hr=str(hr_folders[0]), lr=str(lr_folder))
                if paired.has_scale(scale):
                    lr_images = paired.lr_files(scale)
                    return {name: (path, lr_images[name]) for name, path in hr_images.items()}
        reject_lr_images(hr_folders[0], list(hr_images.values()))
        return {name: (path, None) for name, path in hr_images.items()}

    @staticmethod
    def _path(folder: Path, path: str, title: str, scale: int) -> Path:
        return find_child(folder, *Path(path.format(title=title, scale=scale)).parts)


HR_ONLY = Layout(hr=(".",), ambiguous=True)
"""HR images directly in the set's folder."""

BENCHMARK = (
    Layout(hr=("HR",), lr=("LR_bicubic", "LR"), ambiguous=True),  # EDSR
    Layout(hr=("{title}_HR",), lr=("{title}_LR_x{scale}",)),  # super-image
    Layout(hr=("image_SRF_{scale}",), suffixes=("_SRF_{scale}_HR", "_SRF_{scale}_LR"), ambiguous=True),  # SelfExSR
    Layout(hr=("GTmod12",), lr=("LRbicx{scale}",), ambiguous=True),  # BasicSR
)
"""The layouts of benchmarks. The comments name who distributes them in this layout."""


def find_child(folder: Path, *names: str) -> Path:
    """A path below a folder. Each name is matched without regard to case if it doesn't exist exactly."""
    for name in names:
        exact = folder / name
        if not exact.exists() and folder.is_dir():
            matches = [path for path in sorted(folder.iterdir()) if path.name.casefold() == name.casefold()]
            exact = matches[0] if matches else exact
        folder = exact
    return folder


def _contains_images(folder: Path) -> bool:
    """Whether images are directly in the folder."""
    return any(is_image_file(path) for path in folder.iterdir())


def _pairs_by_suffix(folder: Path, hr_suffix: str, lr_suffix: str) -> Pairs:
    """Pair NAME{hr_suffix}.png with NAME{lr_suffix}.png. Raises UserError if one of the two is missing."""
    files = {path.stem: path for path in sorted(folder.iterdir()) if is_image_file(path)}
    hr = {stem.removesuffix(hr_suffix): path for stem, path in files.items() if stem.endswith(hr_suffix)}
    lr = {stem.removesuffix(lr_suffix): path for stem, path in files.items() if stem.endswith(lr_suffix)}
    unpaired = sorted(hr.keys() ^ lr.keys())
    if unpaired:
        names = f"{', '.join(unpaired[:3])}{', …' * (len(unpaired) > 3)}"
        raise UserError(
            f"in {folder}, every image needs NAME{hr_suffix} and NAME{lr_suffix}; one of the two is missing for {names}"
        )
    return {name: (path, lr[name]) for name, path in hr.items()}
