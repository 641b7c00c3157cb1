"""From folders that a user names to sources."""

from collections.abc import Sequence
from pathlib import Path

from upnet.data.catalogue.base import PublishedSet, published_sets
from upnet.data.sources.base import Source
from upnet.data.sources.files import existing_folder
from upnet.data.sources.folder import Folder
from upnet.data.sources.pair_folders import is_hr, pair_folders
from upnet.data.sources.paired import Paired
from upnet.data.sources.photographs import Photographs
from upnet.utils.paths import expand_user
from upnet.utils.printable import printable_name


def open_sources(roots: str | Sequence[str] | None, scale: int) -> dict[str, Source]:
    """One source per folder, by the folder's name; the built-in photographs where no folder is given.

    A folder in a paired layout that has this scale is Paired; one with a subfolder HR is a Folder on that; any other is
    a Folder. Two folders of one name are told apart by their parents' names. A published set may be named instead of
    its folder: set5 is the one in data/, and FOLDER/set5 the one in FOLDER.

    Raises ValueError where a folder is missing or is named twice, or where a source cannot serve the scale.
    """
    if roots is None:
        return {Photographs.name: Photographs()}
    named = [
        _named(root, scale) or existing_folder(root, "Data") for root in ([roots] if isinstance(roots, str) else roots)
    ]
    if not named:
        raise ValueError("Data: the list of folders is empty; name at least one, or none at all for the photographs")
    paths = [one if isinstance(one, Path) else one.folder for one in named]
    resolved = [path.resolve() for path in paths]
    twice = [str(path) for path, whole in zip(paths, resolved, strict=True) if resolved.count(whole) > 1]
    if twice:
        raise ValueError(f"Data: {twice[0]} is named {len(twice)} times; name every folder once")
    sources = [_open(one, scale) if isinstance(one, Path) else one for one in named]
    names = [source.name for source in sources]
    for source, path in zip(sources, resolved, strict=True):
        source.check(scale)
        if names.count(source.name) > 1:
            source.name = printable_name("-".join(path.parts[-3:] if is_hr(path.name) else path.parts[-2:]))
    return _unique(sources)


def _named(root: str, scale: int) -> PublishedSet | None:
    """The published set that is named instead of a folder; None where it is a folder after all, or nothing known."""
    path = expand_user(root)
    chosen = published_sets().get(path.name.casefold())
    if path.exists() or chosen is None:
        return None
    source = chosen(None if path.name == root else str(path.parent))
    source.check(scale)
    return source


def _open(path: Path, scale: int) -> Source:
    if pair_folders(path):
        paired = Paired(str(path))
        if paired.has_scale(scale):
            return paired
        folder = Folder(str(paired.hr))
        folder.name = paired.name
        return folder
    return Folder(str(path))


def _unique(sources: Sequence[Source]) -> dict[str, Source]:
    """Number what is still called alike, so that every set keeps its own row in a table."""
    named: dict[str, Source] = {}
    for source in sources:
        name, count = source.name, 2
        while name in named:
            name, count = f"{source.name}-{count}", count + 1
        source.name = name
        named[name] = source
    return named
