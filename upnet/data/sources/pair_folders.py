"""Pairs of HR and LR folders, recognised by their names; and detection of LR images among HR images."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from upnet.imaging.reading import BrokenImageError, open_image
from upnet.utils.errors import UserError

_ROLE = re.compile(
    r"(?P<prefix>.*[ _.-]|)"
    r"(?:(?P<hr>hr|gt|hq|hi(?:gh)?[ _-]?res(?:olution)?)|(?P<lr>lr|lq|low?[ _-]?res(?:olution)?))"
    r"(?P<suffix>(?:(?:mod|x|bic|bi|bd|dn|[ _.-]).*)?)",
    re.IGNORECASE,
)
_SCALE = re.compile(r"(?<![a-z])(?:bic)?x(\d+)(?![0-9])", re.IGNORECASE)
_FILE_SUFFIX = re.compile(r"(?:[ _-]?x\d|(?<=[^ _-])[ _-](?:hr|gt|hq|lr|lq))$", re.IGNORECASE)
_PREFERRED_SUFFIXES = ("_bicubic", "")
_SAMPLES = 5
_MIN_CORRELATION = 0.95


class Role(NamedTuple):
    """The parts of a folder's name, in lower case: NAME_LR_bicubic has the prefix "name_" and the suffix "_bicubic".

    hr: True for a folder of HR images, False for a folder of LR images.
    """

    hr: bool
    prefix: str
    suffix: str


class PairFolders(NamedTuple):
    """A folder of HR images and the folder of their LR images.

    by_scale: {scale: LR folder} if there is one LR folder per scale, else empty.
    """

    hr: Path
    lr: Path
    by_scale: Mapping[int, Path]


def folder_role(name: str) -> Role | None:
    """Parse the name of a folder; None if it contains neither HR nor LR.

    >>> folder_role("DIV2K_train_HR")
    Role(hr=True, prefix='div2k_train_', suffix='')
    >>> folder_role("LRbicx2")
    Role(hr=False, prefix='', suffix='bicx2')
    >>> folder_role("holidays") is None
    True
    """
    match = _ROLE.fullmatch(name)
    return Role(match["hr"] is not None, match["prefix"].lower(), match["suffix"].lower()) if match else None


def is_hr(name: str) -> bool:
    """Whether a folder's name is HR or GT, with nothing before or after."""
    return folder_role(name) == Role(True, "", "")


def hr_inside(root: Path) -> Path | None:
    """The folder HR in root, or else GT; None if there is neither."""
    folders = sorted((path for path in root.iterdir() if is_hr(path.name) and path.is_dir()), key=_hr_first)
    return folders[0] if folders else None


def pair_folders(root: Path) -> list[PairFolders]:
    """The pairs of HR and LR folders that are directly in root.

    Raises UserError if several LR folders belong to one HR folder and their names don't say which one to use.
    """
    folders: defaultdict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for path in sorted(root.iterdir()):
        role = folder_role(path.name)
        if role is not None and path.is_dir():
            hr_folders, lr_folders = folders[role.prefix]
            (hr_folders if role.hr else lr_folders).append(path)
    pairs = []
    for prefix in sorted(folders):
        hr_folders, lr_folders = folders[prefix]
        if hr_folders and lr_folders:
            hr = min(hr_folders, key=_hr_first)
            pairs.append(PairFolders(hr, *_choose_lr(hr, lr_folders)))
    return pairs


def scale_folders(lr: Path) -> dict[int, Path]:
    """{scale: subfolder} of the subfolders X2, X3, … of a folder."""
    folders = [path for path in sorted(lr.iterdir()) if path.is_dir()]
    return {int(path.name[1:]): path for path in folders if path.name[:1] in "xX" and path.name[1:].isdecimal()}


def reject_lr_images(root: Path, images: Sequence[Path]) -> None:
    """Raise UserError if some of the images below root are LR versions of others.

    Two cases are detected: HR and LR folders with the same parent, at any depth; and images that have the same name
    (in a folder and its subfolder, or apart from an ending such as x2) and the same content at two sizes. In the second
    case, only a few images are compared.
    """
    for hr, lr in _sibling_folders(root, images):
        raise UserError(
            f"{root} contains HR and LR images, in {hr} and {lr}",
            cure=f"Use both by data=paired data.root={hr.parent}, or only the HR images by data.root={hr}",
        )
    for large, small in _reduced_copies(root, images):
        raise UserError(
            f"{root} contains HR and LR images: {small.relative_to(root)} is a smaller version of "
            f"{large.relative_to(root)}",
            cure="Move the LR images to another folder, or give both folders by "
            "data=paired data.root=null data.train.hr=FOLDER data.train.lr=FOLDER",
        )


def _hr_first(path: Path) -> tuple[int, int, str]:
    """Sorting key of HR folders: the shortest name first, and HR before GT."""
    role = folder_role(path.name)
    assert role is not None
    return len(role.suffix), not path.name.lower().endswith("hr"), path.name


def _choose_lr(hr: Path, folders: Sequence[Path]) -> tuple[Path, Mapping[int, Path]]:
    """The LR folder of an HR folder, and {scale: LR folder} if there is one per scale."""
    suffixes = {path: role.suffix for path in folders if (role := folder_role(path.name)) is not None}
    for preferred in _PREFERRED_SUFFIXES:
        for path, suffix in suffixes.items():
            if suffix == preferred:
                return path, scale_folders(path)
    if len(folders) == 1 and not _SCALE.search(suffixes[folders[0]]):
        return folders[0], scale_folders(folders[0])
    by_scale = {int(match[1]): path for path, suffix in suffixes.items() if (match := _SCALE.search(suffix))}
    if len(by_scale) < len(folders):
        names = ", ".join(path.name for path in folders)
        raise UserError(
            f"{hr.parent} contains several folders of LR images for {hr.name}: {names}",
            cure=f"Train with one of them by data=paired data.root=null data.train.hr={hr} data.train.lr=FOLDER, or "
            f"give only {hr}, from which LR is made",
        )
    return folders[0], by_scale


def _sibling_folders(root: Path, images: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """(HR folder, LR folder) with the same parent and prefix."""
    folders = {folder for parent in {path.parent for path in images} for folder in _folders_between(root, parent)}
    groups: defaultdict[tuple[Path, str], dict[bool, Path]] = defaultdict(dict)
    for folder in sorted(folders):
        if (role := folder_role(folder.name)) is not None:
            groups[folder.parent, role.prefix].setdefault(role.hr, folder)
    yield from ((group[True], group[False]) for group in groups.values() if len(group) == 2)


def _folders_between(root: Path, folder: Path) -> Iterator[Path]:
    """The folder and its parents, without root."""
    while folder != root:
        yield folder
        folder = folder.parent


def _reduced_copies(root: Path, images: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """(image, reduced copy), if at least half of a sample of images with the same name are such a pair."""
    same_name: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in images:
        for folder in {path.parent, path.parent.parent if path.parent != root else root}:
            same_name[folder, _FILE_SUFFIX.sub("", path.stem)].append(path)
    groups: defaultdict[Path, list[list[Path]]] = defaultdict(list)
    for (folder, _), paths in same_name.items():
        if len(paths) > 1:
            groups[folder].append(paths[:_SAMPLES])
    for group in groups.values():
        step = max(len(group) / _SAMPLES, 1.0)
        sample = [group[int(number * step)] for number in range(min(len(group), _SAMPLES))]
        pairs = [pair for paths in sample if (pair := next(_reduced_pairs(paths), None)) is not None]
        if 2 * len(pairs) >= len(sample):
            yield pairs[0]


def _reduced_pairs(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """The pairs (image, reduced copy) among some images."""
    for pair in combinations(paths, 2):
        try:
            if _is_reduced_copy(*pair):
                yield pair
            elif _is_reduced_copy(*reversed(pair)):
                yield pair[1], pair[0]
        except BrokenImageError:
            continue  # reported when the image is decoded


def _is_reduced_copy(large: Path, small: Path) -> bool:
    """Whether `small` has the content of `large` at 1 / 2, 1 / 3, … of its size, rounded."""
    with open_image(large) as large_image, open_image(small) as small_image:
        scale = round(large_image.width / small_image.width)
        sizes = zip(large_image.size, small_image.size, strict=True)
        if scale < 2 or any(abs(side / scale - small_side) >= 1 for side, small_side in sizes):
            return False
        a, b = (
            np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float)
            for image in (large_image, small_image)
        )
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return norm > 0 and float((a * b).sum()) / norm > _MIN_CORRELATION
