"""Pairing of LR and HR images by name, and findings on images that have no partner."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upnet.audit.finding import Finding, count_noun, join_some
from upnet.data.sources.files import existing_folder, find_images, folder_set_name
from upnet.data.sources.folder import Folder
from upnet.data.sources.pair_folders import PairFolders, hr_inside, pair_folders, reject_lr_images
from upnet.utils.errors import UserError

_SCALE_SUFFIX = re.compile(r"[xX](\d+)$")
_MAX_COMPARED_NAMES = 100
"""Limit for the comparison of names without partner, whose time grows with the square of their number."""


@dataclass(frozen=True)
class FolderContent:
    """The images of a folder.

    name: name of the set.
    hr:   HR name -> file.
    lr:   scale -> LR name -> file; empty if there is no LR. The scale comes from folders X2, X3, … or from the ends of
          the names. The key of names without a scale is 0.
    """

    name: str
    hr: Mapping[str, Path]
    lr: Mapping[int, Mapping[str, Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class NamePairs:
    """The result of pairing the images of one scale.

    files:    HR name -> LR file.
    findings: findings on images without partner.
    """

    scale: int
    files: Mapping[str, Path]
    findings: Sequence[Finding]


def read_folder(folder: str) -> FolderContent:
    """List the images of a folder: HR images, and LR images in one of the layouts of data/README.md.

    Raises UserError if the folder is missing, contains no image, or contains several sets.
    """
    root = existing_folder(folder)
    pairs = pair_folders(root)
    if len(pairs) > 1:
        names = ", ".join(pair.hr.name for pair in pairs)
        raise UserError(f"{root} contains several image sets ({names})", cure="Put each set into its own folder")
    if not pairs:
        source = Folder(str(root))
        hr_folder = hr_inside(root) or root
        hr = find_images(hr_folder)
        reject_lr_images(hr_folder, list(hr.values()))
        return FolderContent(source.name, hr)
    hr = find_images(pairs[0].hr)
    return FolderContent(folder_set_name(root), hr, _lr_by_scale(pairs[0], hr))


def _lr_by_scale(folders: PairFolders, hr: Mapping[str, Path]) -> dict[int, Mapping[str, Path]]:
    """Scale -> LR name -> file, as in FolderContent."""
    # An empty LR folder is a finding rather than an error.
    if folders.by_scale:
        return {scale: find_images(path, allow_empty=True) for scale, path in sorted(folders.by_scale.items())}
    by_scale: dict[int, dict[str, Path]] = {}
    for name, path in find_images(folders.lr, allow_empty=True).items():
        suffix = None if name in hr else _SCALE_SUFFIX.search(name)
        by_scale.setdefault(int(suffix[1]) if suffix else 0, {})[name] = path
    return dict(sorted(by_scale.items()))


def pair_by_name(hr: Mapping[str, Path], lr: Mapping[str, Path], scale: int) -> NamePairs:
    """Pair images by name as upnet.data.Paired does: the LR image of NAME is NAMEx2 or NAME.

    >>> pair_by_name({"a": Path("a.png")}, {"ax2": Path("ax2.png")}, scale=2).files["a"].name
    'ax2.png'
    """
    files: dict[str, Path] = {}
    lr_only: list[str] = []
    repeated: list[str] = []
    for name, path in lr.items():
        hr_name = name if name in hr else name.removesuffix(f"x{scale}")
        if hr_name not in hr:
            lr_only.append(name)
        elif hr_name in files:
            repeated.append(name)
        else:
            files[hr_name] = path
    hr_only = [name for name in hr if name not in files]
    findings = _report_unpaired(hr_only, lr_only, scale)
    if repeated:
        problem = f"HR images with a second LR image: {join_some(repeated)}."
        findings.append(_finding(problem, "Keep one of them.", repeated, scale))
    return NamePairs(scale, files, findings)


def _report_unpaired(hr_only: list[str], lr_only: list[str], scale: int) -> list[Finding]:
    """Findings on images without partner; those with similar names are reported as probably misspelt."""
    misspelt = _similar_names(hr_only, lr_only)
    findings = []
    if misspelt:
        names = join_some([f"{lr_name} for {hr_name}" for lr_name, hr_name in misspelt.items()])
        findings.append(
            _finding(
                f"{count_noun(len(misspelt), 'LR image')} may have a wrong name: {names}.",
                f"Rename them: the LR image of NAME is NAMEx{scale} or NAME.",
                [*misspelt, *misspelt.values()],
                scale,
            )
        )
    for present, absent, names in (
        ("HR", "LR", [name for name in hr_only if name not in misspelt.values()]),
        ("LR", "HR", [name for name in lr_only if name not in misspelt]),
    ):
        if names:
            count = count_noun(len(names), f"{present} image", ("has", "have"))
            cure = "Add the missing images, or remove these."
            findings.append(_finding(f"{count} no {absent} image: {join_some(names)}.", cure, names, scale))
    return findings


def _similar_names(hr_only: list[str], lr_only: list[str]) -> dict[str, str]:
    """LR name -> the HR name that it probably should have."""
    normalised = {_normalise(name): name for name in hr_only}
    choices = list(normalised)[:_MAX_COMPARED_NAMES]
    similar: dict[str, str] = {}
    for lr_name in lr_only[:_MAX_COMPARED_NAMES]:
        normalised_lr = _normalise(_SCALE_SUFFIX.sub("", lr_name))
        close = difflib.get_close_matches(normalised_lr, choices, n=1, cutoff=0.8)
        if close and normalised[close[0]] not in similar.values():
            similar[lr_name] = normalised[close[0]]
    return similar


def _finding(problem: str, cure: str, images: Sequence[str], scale: int) -> Finding:
    return Finding("pairs", problem, "upnet rejects a set with images that have no partner.", cure, images, scale)


def _normalise(name: str) -> str:
    """A name in lower case, without separators and leading zeros, which often vary."""
    return re.sub(r"[^a-z0-9]|(?<![0-9])0+(?=[0-9])", "", name.lower())
