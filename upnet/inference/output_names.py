"""Where the larger pictures go: no two to one name, none over its source, none out of the output folder."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from upnet.imaging.formats import FORMATS
from upnet.imaging.listing import list_images, warn_once
from upnet.imaging.reading import SUFFIXES
from upnet.utils.printable import escape_unprintable


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read, and where it goes.

    folder: everything is written in here or below.
    jobs:   picture and larger picture, in the order of the pictures' names.
    """

    folder: Path
    jobs: tuple[tuple[Path, Path], ...]


def plan(source: Path, target: Path | None, scale: int) -> Plan:
    """The larger pictures' names.

    source: a picture, or a folder, of which every picture counts that is in it or below and isn't hidden.
    target: a file for a picture, a folder for either; None puts NAME_x2.png, or a folder NAME_x2, beside the source.
            Pictures of a folder become PNG.

    Raises ValueError where there is nothing to read, where a picture would be written over one that is read, and where
    the target's kind isn't one that pictures can be written as.
    """
    if not source.exists():
        raise ValueError(f"input={source} doesn't exist; give a picture or a folder of pictures")
    made = _of_folder(source, target, scale) if source.is_dir() else _of_picture(source, target, scale)
    read = {os.path.realpath(picture) for picture, _ in made.jobs}
    for _, larger in made.jobs:
        if os.path.realpath(larger) in read:
            raise ValueError(f"output={target} would write over {larger}, which is to be read; give another output")
    return made


def prepare(folder: Path) -> None:
    """Make the output folder. Raises ValueError where it can't be made, or not be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".upnet-{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"output: {folder} cannot be written to: {error.strerror or error}; give a folder that can, by output="
        ) from error


def prepare_below(folder: Path, larger: Path) -> None:
    """Make the folder that a picture goes to.

    Raises ValueError where a link leads it out of the output folder, or where it can't be made, or not be written to.
    """
    if not folder.exists():  # and so holds no link
        prepare(folder)
    inside, parent = folder.resolve(), larger.parent
    while not parent.exists():
        parent = parent.parent
    if not parent.resolve().is_relative_to(inside):
        raise ValueError(f"{larger} lies outside the output folder {folder}, where a link leads to; remove that link")
    prepare(larger.parent)


def shown(path: str | Path) -> str:
    """A path, or a sentence with one, for any terminal: what is no character, or moves the cursor, is escaped."""
    return escape_unprintable(str(path))


def _of_picture(source: Path, target: Path | None, scale: int) -> Plan:
    if not source.is_file():
        raise ValueError(f"input={source} is neither a file nor a folder; give a picture or a folder of pictures")
    target = target or source.with_name(f"{source.stem}_x{scale}.png")
    if target.is_dir():
        target = target / f"{source.stem}_x{scale}.png"
    if target.suffix.lower() not in FORMATS:
        raise ValueError(f"output={target} must end in one of {', '.join(sorted(FORMATS))}")
    return Plan(target.parent, ((source, target),))


def _of_folder(source: Path, target: Path | None, scale: int) -> Plan:
    target = target or source.resolve().with_name(f"{source.resolve().name}_x{scale}")
    if target.exists() and not target.is_dir():
        raise ValueError(f"output={target} is a file, and input={source} is a folder; give a folder")
    inside = target.resolve()
    if inside == source.resolve():
        raise ValueError(f"output={target} is the input folder itself; give another one")
    listing = list_images(source)
    if (remark := listing.summary()) is not None:
        warn_once(remark)
    pictures = listing.images
    if inside.is_relative_to(source.resolve()):  # what was written there before is no source
        pictures = [path for path in pictures if not path.parent.resolve().is_relative_to(inside)]
    if not pictures:
        raise ValueError(f"input={source} holds no picture; these are read: {', '.join(sorted(SUFFIXES))}")
    names = _names([path.relative_to(source) for path in pictures])
    return Plan(target, tuple((path, target / name) for path, name in zip(pictures, names, strict=True)))


def _names(paths: Sequence[Path]) -> list[Path]:
    """A PNG for each path, with its stem; a.jpg and a.png in one folder become a.jpg.png and a.png.png."""
    stems = [path.with_suffix(".png") for path in paths]
    counts = Counter(_folded(stem) for stem in stems)
    taken = {_folded(stem) for stem in stems if counts[_folded(stem)] == 1}
    names: list[Path] = []
    for path, stem in zip(paths, stems, strict=True):
        name, number = stem, 1
        if counts[_folded(stem)] > 1:
            name = path.with_name(f"{path.name}.png")
            while _folded(name) in taken:
                number += 1
                name = path.with_name(f"{path.name}-{number}.png")
            taken.add(_folded(name))
        names.append(name)
    return names


def _folded(path: Path) -> str:
    """Two names that some file systems take for one become equal."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
