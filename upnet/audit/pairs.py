"""Which LR file belongs to which HR picture, and which are left alone."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from upnet.audit.finding import Finding, some
from upnet.data.sources.files import existing_folder, find_images, folder_set_name
from upnet.data.sources.folder import Folder
from upnet.data.sources.pair_folders import PairFolders, hr_inside, pair_folders, reject_lr_images

_MARK = re.compile(r"[xX](\d+)$")
_GUESSED = 100
"""Names without a partner that are compared with each other; among thousands that would take hours."""


@dataclass(frozen=True)
class Layout:
    """A folder as the audit sees it.

    name: of the set.
    hr:   HR name -> file.
    lr:   scale -> LR name -> file, by the folders X2, X3, … or by the marks behind the names, 0 for names without one;
          empty where there is no LR.
    """

    name: str
    hr: Mapping[str, Path]
    lr: Mapping[int, Mapping[str, Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairs:
    """HR name -> LR file of one scale, and what did not pair off."""

    scale: int
    files: Mapping[str, Path]
    findings: Sequence[Finding]


def look(folder: str) -> Layout:
    """What lies in a folder: HR pictures, nested or not, with LR pictures in one of the layouts of data/README.md.

    Raises ValueError where the folder is missing, holds no picture, or holds several sets.
    """
    root = existing_folder(folder, "Audit")
    pairs = pair_folders(root)
    if len(pairs) > 1:
        told = ", ".join(pair.hr.name for pair in pairs)
        raise ValueError(f"Audit: {root} holds several sets ({told}); put each into a folder of its own")
    if not pairs:
        source = Folder(str(root))
        below = hr_inside(root) or root
        found = find_images(below, "Audit")
        reject_lr_images(below, list(found.values()), "Audit")
        return Layout(source.name, found)
    found = find_images(pairs[0].hr, "Audit, HR")
    return Layout(folder_set_name(root), found, _by_scale(pairs[0], found))


def _by_scale(pair: PairFolders, hr: Mapping[str, Path]) -> dict[int, Mapping[str, Path]]:
    if pair.by_scale:
        return {scale: _pictures(path) for scale, path in sorted(pair.by_scale.items())}
    by_scale: dict[int, dict[str, Path]] = {}
    for name, path in _pictures(pair.lr).items():
        mark = None if name in hr else _MARK.search(name)
        by_scale.setdefault(int(mark[1]) if mark else 0, {})[name] = path
    # A mark that stands behind no name tells no scale: 0 is for the sizes to tell.
    return dict(sorted(by_scale.items()))


def _pictures(folder: Path) -> dict[str, Path]:
    """An empty folder holds no picture, which is a finding here and no mistake."""
    try:
        return find_images(folder, "Audit, LR")
    except ValueError:
        return {}


def pair(hr: Mapping[str, Path], lr: Mapping[str, Path], scale: int) -> Pairs:
    """Pair off by name: the LR picture of NAME is called NAMEx2 or NAME, as upnet.data.Paired has it."""
    files: dict[str, Path] = {}
    orphans: list[str] = []
    twice: list[str] = []
    for name, path in lr.items():
        owner = name if name in hr else name.removesuffix(f"x{scale}")
        if owner not in hr:
            orphans.append(name)
        elif owner in files:
            twice.append(name)
        else:
            files[owner] = path
    widows = [name for name in hr if name not in files]
    return Pairs(scale, files, [*_misnamed(widows, orphans, scale), *_twice(twice, scale)])


def _misnamed(widows: list[str], orphans: list[str], scale: int) -> list[Finding]:
    """HR without LR and LR without HR: where the names are close, it is a wrong name."""
    meant: dict[str, str] = {}
    plain = {_plain(name): name for name in widows}
    few, named = list(plain)[:_GUESSED], set[str]()
    for orphan in orphans[:_GUESSED]:
        close = difflib.get_close_matches(_plain(_MARK.sub("", orphan)), few, n=1, cutoff=0.8)
        if close and plain[close[0]] not in named:
            meant[orphan] = plain[close[0]]
            named.add(plain[close[0]])
    findings = []
    if meant:
        told = some([f"{orphan} for {hr}" for orphan, hr in meant.items()])
        findings.append(
            _finding(
                f"{len(meant)} LR picture{'s' * (len(meant) > 1)} may have a wrong name: {told}.",
                f"Rename them: the LR picture of NAME is called NAMEx{scale} or NAME.",
                [*meant, *meant.values()],
                scale,
            )
        )
    for kind, names in (
        ("HR picture has no LR picture", [name for name in widows if name not in named]),
        ("LR picture has no HR picture", [name for name in orphans if name not in meant]),
    ):
        if names:
            told = kind if len(names) == 1 else kind.replace("picture has", "pictures have", 1)
            cure = "Add the missing ones, or take these out."
            findings.append(_finding(f"{len(names)} {told}: {some(names)}.", cure, names, scale))
    return findings


def _twice(names: list[str], scale: int) -> list[Finding]:
    if not names:
        return []
    return [_finding(f"A second LR picture for one HR picture: {some(names)}.", "Keep one of them.", names, scale)]


def _finding(what: str, cure: str, pictures: Sequence[str], scale: int) -> Finding:
    return Finding("pairs", what, "upnet refuses a set whose names don't pair off.", cure, pictures, scale)


def _plain(name: str) -> str:
    """The name without what people vary: case, separators and leading zeros."""
    return re.sub(r"[^a-z0-9]|(?<![0-9])0+(?=[0-9])", "", name.lower())
