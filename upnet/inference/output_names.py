"""Choose the names of output images: unique, different from the inputs, and inside the output folder."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upnet.imaging.formats import FORMATS
from upnet.imaging.listing import list_images, warn_once
from upnet.imaging.reading import SUFFIXES
from upnet.utils.errors import UserError


@dataclass(frozen=True, slots=True)
class Plan:
    """The images to upscale, and where their outputs are written.

    folder: the output folder; it contains all outputs.
    jobs:   pairs of input and output file, in the order of the inputs' names.

    >>> Plan(Path("large"), ((Path("a.png"), Path("large/a.png")),)).folder.name
    'large'
    """

    folder: Path
    jobs: tuple[tuple[Path, Path], ...]


def plan_outputs(source: Path, target: Path | None, scale: int) -> Plan:
    """Choose the output file of each input image.

    source: an image file, or a folder: all images in it and its subfolders that are not hidden.
    target: a file for a file, a folder for either; None for NAME_x2.png, or a folder NAME_x2, in the
            folder of the source. Images of a folder are written as PNG.

    Raises UserError if there is no image, if an output would overwrite an input, and if the target's suffix is not
    supported.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photo = Path(folder, "photo.jpg")
    ...     photo.touch()
    ...     [output.name for _, output in plan_outputs(photo, target=None, scale=2).jobs]
    ['photo_x2.png']
    """
    if not source.exists():
        raise UserError("doesn't exist", setting="input", value=str(source), allowed="an image or a folder of images")
    plan = _plan_folder(source, target, scale) if source.is_dir() else _plan_file(source, target, scale)
    inputs = {os.path.realpath(image) for image, _ in plan.jobs}
    for _, output in plan.jobs:
        if os.path.realpath(output) in inputs:
            raise UserError(
                f"would overwrite the input {output}", setting="output", value=target, cure="Set another output"
            )
    return plan


def make_output_folder(folder: Path) -> None:
    """Create the output folder. Raises UserError if it cannot be created or written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_output_folder(Path(folder, "new"))
    ...     Path(folder, "new").is_dir()
    True
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".upnet-{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"cannot be written to: {error.strerror or error}",
            setting="output",
            value=str(folder),
            cure="Set output to a folder that can be written to",
        ) from error


def make_subfolder(folder: Path, output: Path) -> None:
    """Create the folder of an output file inside the output folder.

    Raises UserError if a link leads out of the output folder, and if the folder cannot be created or written to.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_subfolder(Path(folder), Path(folder, "deep", "a.png"))
    ...     Path(folder, "deep").is_dir()
    True
    """
    if not folder.exists():  # a new folder contains no link
        make_output_folder(folder)
    resolved, parent = folder.resolve(), output.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.resolve().is_relative_to(resolved):
        raise UserError(f"{output} is outside the output folder {folder}, because of a link", cure="Remove that link")
    make_output_folder(output.parent)


def _plan_file(source: Path, target: Path | None, scale: int) -> Plan:
    if not source.is_file():
        raise UserError(
            "is neither a file nor a folder",
            setting="input",
            value=str(source),
            allowed="an image or a folder of images",
        )
    target = target or source.with_name(f"{source.stem}_x{scale}.png")
    if target.is_dir():
        target = target / f"{source.stem}_x{scale}.png"
    if target.suffix.lower() not in FORMATS:
        raise UserError(
            "has no supported suffix", setting="output", value=str(target), allowed=", ".join(sorted(FORMATS))
        )
    return Plan(target.parent, ((source, target),))


def _plan_folder(source: Path, target: Path | None, scale: int) -> Plan:
    target = target or source.resolve().with_name(f"{source.resolve().name}_x{scale}")
    if target.exists() and not target.is_dir():
        raise UserError(
            f"is a file, and input={source} is a folder", setting="output", value=str(target), allowed="a folder"
        )
    output_folder = target.resolve()
    if output_folder == source.resolve():
        raise UserError("is the input folder", setting="output", value=str(target), cure="Set another folder")
    listing = list_images(source)
    if (skipped := listing.summary()) is not None:
        warn_once(skipped)
    images = listing.images
    if output_folder.is_relative_to(source.resolve()):  # outputs of an earlier command are not inputs
        images = [path for path in images if not path.parent.resolve().is_relative_to(output_folder)]
    if not images:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise UserError(
            "contains no image",
            setting="input",
            value=str(source),
            allowed=f"images with one of the suffixes {suffixes}",
        )
    names = _unique_names([path.relative_to(source) for path in images])
    return Plan(target, tuple((path, target / name) for path, name in zip(images, names, strict=True)))


def _unique_names(paths: Sequence[Path]) -> list[Path]:
    """A distinct PNG name for each path: a.jpg becomes a.png, or a.jpg.png if its folder also has a.png."""
    png_paths = [path.with_suffix(".png") for path in paths]
    counts = Counter(_normalised(path) for path in png_paths)
    taken = {name for name, count in counts.items() if count == 1}
    names: list[Path] = []
    for path, png_path in zip(paths, png_paths, strict=True):
        name, number = png_path, 1
        if counts[_normalised(png_path)] > 1:
            name = path.with_name(f"{path.name}.png")
            while _normalised(name) in taken:
                number += 1
                name = path.with_name(f"{path.name}-{number}.png")
            taken.add(_normalised(name))
        names.append(name)
    return names


def _normalised(path: Path) -> str:
    """A normal form that is equal for names that some file systems don't distinguish."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
