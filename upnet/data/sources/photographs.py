"""Photographs: an image source of the photographs in the scikit-image package, without a download."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.files import file_entries
from upnet.imaging.reading import is_image_file
from upnet.utils.errors import UserError, did_you_mean, join_or

VALIDATION = ("astronaut", "chelsea", "coffee", "rocket")
"""The validation images that are used if no others are given."""


class Photographs(Source):
    """Images that scikit-image contains (https://scikit-image.org/docs/stable/api/skimage.data.html).

    names: names of the images: by default the four validation images; for example also camera, coins, grass, gravel,
           brick, moon and motorcycle_left.

    Raises UserError for an empty list and for a name that the installed scikit-image doesn't contain.

    >>> [entry.name for entry in Photographs(["coffee", "camera"]).images()]
    ['camera', 'coffee']
    """

    name = "photographs"

    def __init__(self, names: Sequence[str] = VALIDATION) -> None:
        files = _package_images()
        unknown = [name for name in names if name not in files]
        if unknown or not names:
            problem = f"scikit-image contains no image {join_or(unknown)}" if unknown else "the list is empty"
            cure = did_you_mean(unknown[0], files) if unknown else ""
            raise UserError(problem, setting="names", value=list(names), allowed=", ".join(files), cure=cure)
        self.names = tuple(sorted(set(names)))
        self._files = {name: files[name] for name in self.names}

    def images(self) -> Sequence[ImageEntry]:
        """The chosen photographs, sorted by name."""
        return file_entries(self._files)


def _package_images() -> dict[str, Path]:
    """{name: file} of the images in the installed scikit-image, which is not imported because that is slow."""
    spec = find_spec("skimage")
    folder = Path((spec.origin if spec else None) or "").parent / "data"
    files = sorted(path for path in folder.iterdir() if is_image_file(path))
    # The multi-page stacks are test data for TIFF readers, not photographs.
    return {path.stem: path for path in files if not path.stem.startswith("multipage")}
