"""Folders of HR images and of their LR images, told by their names; and LR images that a folder of HR images holds."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from upnet.imaging.reading import BrokenImageError, open_image

_ROLE = re.compile(
    r"(?P<stem>.*[ _.-]|)"
    r"(?:(?P<hr>hr|gt|hq|hi(?:gh)?[ _-]?res(?:olution)?)|(?P<lr>lr|lq|low?[ _-]?res(?:olution)?))"
    r"(?P<rest>(?:(?:mod|x|bic|bi|bd|dn|[ _.-]).*)?)",
    re.IGNORECASE,
)
_SCALE = re.compile(r"(?<![a-z])(?:bic)?x(\d+)(?![0-9])", re.IGNORECASE)
_MARK = re.compile(r"(?:[ _-]?x\d|(?<=[^ _-])[ _-](?:hr|gt|hq|lr|lq))$", re.IGNORECASE)
_PREFERRED = ("_bicubic", "")
_SAMPLES = 5
_ALIKE = 0.95


class Role(NamedTuple):
    """What a folder's name says: whether of HR or LR, the name before that, and what follows it, in lower case."""

    high: bool
    stem: str
    rest: str


class PairFolders(NamedTuple):
    """A folder of HR images, that of their LR images, and the LR folder of each scale where there is one per scale."""

    hr: Path
    lr: Path
    by_scale: Mapping[int, Path]


def role(name: str) -> Role | None:
    """HR, GT, NAME_HR, GTmod12, … are folders of HR images; LR, LQ, LR_bicubic, NAME_LR_x2, LRbicx2, … of LR images."""
    match = _ROLE.fullmatch(name)
    return Role(match["hr"] is not None, match["stem"].lower(), match["rest"].lower()) if match else None


def is_hr(name: str) -> bool:
    """Whether a folder is called HR or GT, and nothing more."""
    return role(name) == Role(True, "", "")


def hr_inside(root: Path) -> Path | None:
    """The folder HR, or else GT, in root."""
    found = sorted((path for path in root.iterdir() if is_hr(path.name) and path.is_dir()), key=_hr_first)
    return found[0] if found else None


def pair_folders(root: Path) -> list[PairFolders]:
    """The pairs of HR and LR folders that stand side by side in root.

    Raises ValueError where several LR folders belong to one HR folder and nothing tells which one is meant.
    """
    stems: defaultdict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for path in sorted(root.iterdir()):
        named = role(path.name)
        if named is not None and path.is_dir():
            stems[named.stem][not named.high].append(path)
    return [
        PairFolders(min(hr, key=_hr_first), *_lr_of(min(hr, key=_hr_first), lr))
        for hr, lr in (stems[stem] for stem in sorted(stems))
        if hr and lr
    ]


def scale_folders(lr: Path) -> dict[int, Path]:
    """Scale -> the subfolder X2, X3, … of a folder of LR images."""
    folders = [path for path in sorted(lr.iterdir()) if path.is_dir()]
    return {int(path.name[1:]): path for path in folders if path.name[:1] in "xX" and path.name[1:].isdecimal()}


def reject_lr_images(root: Path, images: Sequence[Path], what: str) -> None:
    """Raise ValueError where some of the images below root are LR images of others.

    They are where folders HR and LR stand side by side at any depth, and where images of one name in a folder and its
    subfolders, or with marks behind their names, show the same at two sizes. A few images are compared for the latter.
    """
    for hr, lr in _siblings(root, images):
        raise ValueError(
            f"{what}: {root} holds HR and LR images, in {hr} and {lr}; use both by data=paired data.root={hr.parent}, "
            f"or give the HR images alone by data.root={hr}"
        )
    for large, small in _reductions(root, images):
        raise ValueError(
            f"{what}: {root} holds HR and LR images: {small.relative_to(root)} is {large.relative_to(root)} reduced; "
            "move the LR images out of it, or give both folders by data=paired data.root=null data.train.hr=FOLDER "
            "data.train.lr=FOLDER"
        )


def _hr_first(path: Path) -> tuple[int, int, str]:
    named = role(path.name)
    assert named is not None
    return len(named.rest), not path.name.lower().endswith("hr"), path.name


def _lr_of(hr: Path, folders: Sequence[Path]) -> tuple[Path, Mapping[int, Path]]:
    """The LR folder of an HR folder, and those of single scales."""
    rests = {path: named.rest for path in folders if (named := role(path.name)) is not None}
    for preferred in _PREFERRED:
        for path, rest in rests.items():
            if rest == preferred:
                return path, scale_folders(path)
    if len(folders) == 1 and not _SCALE.search(rests[folders[0]]):
        return folders[0], scale_folders(folders[0])
    by_scale = {int(match[1]): path for path, rest in rests.items() if (match := _SCALE.search(rest))}
    if len(by_scale) < len(folders):
        names = ", ".join(path.name for path in folders)
        raise ValueError(
            f"Data: {hr.parent} holds several folders of LR images for {hr.name}: {names}; train with one of them by "
            f"data=paired data.root=null data.train.hr={hr} data.train.lr=FOLDER, or give {hr}, whose LR is made"
        )
    return folders[0], by_scale


def _siblings(root: Path, images: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Folders of HR and of LR images with one parent and one stem."""
    folders = {above for parent in {path.parent for path in images} for above in _up_to(root, parent)}
    found: defaultdict[tuple[Path, str], dict[bool, Path]] = defaultdict(dict)
    for folder in sorted(folders):
        if (named := role(folder.name)) is not None:
            found[folder.parent, named.stem].setdefault(named.high, folder)
    yield from ((both[True], both[False]) for both in found.values() if len(both) == 2)


def _up_to(root: Path, folder: Path) -> Iterator[Path]:
    while folder != root:
        yield folder
        folder = folder.parent


def _reductions(root: Path, images: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """An image and its reduction, where at least half of a few images that are called alike are such a pair."""
    alike: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in images:
        for folder in {path.parent, path.parent.parent if path.parent != root else root}:
            alike[folder, _MARK.sub("", path.stem)].append(path)
    groups: defaultdict[Path, list[list[Path]]] = defaultdict(list)
    for (folder, _), paths in alike.items():
        if len(paths) > 1:
            groups[folder].append(paths[:_SAMPLES])
    for found in groups.values():
        step = max(len(found) / _SAMPLES, 1.0)
        sample = [found[int(number * step)] for number in range(min(len(found), _SAMPLES))]
        pairs = [pair for paths in sample if (pair := next(_ordered(paths), None)) is not None]
        if 2 * len(pairs) >= len(sample):
            yield pairs[0]


def _ordered(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    for pair in combinations(paths, 2):
        try:
            if _is_reduction(*pair):
                yield pair
            elif _is_reduction(*reversed(pair)):
                yield pair[1], pair[0]
        except BrokenImageError:
            continue  # reported where it is decoded


def _is_reduction(large: Path, small: Path) -> bool:
    """Whether the second image has a whole fraction of the first one's size, rounded, and shows the same."""
    with open_image(large) as one, open_image(small) as other:
        scale = round(one.width / other.width)
        if scale < 2 or any(abs(a / scale - b) >= 1 for a, b in zip(one.size, other.size, strict=True)):
            return False
        a, b = (np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float) for image in (one, other))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return norm > 0 and float((a * b).sum()) / norm > _ALIKE
