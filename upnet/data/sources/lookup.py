"""open_sources: the image sets that a setting such as data.val_root names, either folders or published sets."""

from collections.abc import Sequence
from pathlib import Path

from upnet.data.catalogue.base import PublishedSet, published_sets
from upnet.data.sources.base import Source
from upnet.data.sources.files import existing_folder
from upnet.data.sources.folder import Folder
from upnet.data.sources.pair_folders import is_hr, pair_folders
from upnet.data.sources.paired import Paired
from upnet.data.sources.photographs import Photographs
from upnet.utils.errors import UserError
from upnet.utils.paths import expand_user
from upnet.utils.printable import printable_name


def open_sources(roots: str | Sequence[str] | None, scale: int) -> dict[str, Source]:
    """Open one source per folder, as {name: source}. The name of a source is the name of its folder.

    A folder that contains HR and LR folders of this scale is opened as Paired, any other folder as Folder. Folders of
    the same name are distinguished by their parents' names. The name of a published set may replace a folder: `set5` is
    the set in data/, and `FOLDER/set5` is the set in FOLDER.

    roots: folders or published sets; None: the built-in photographs.
    scale: the scale of the LR images, an integer.

    Raises UserError if a folder is missing or is given twice, or if a source has no images for the scale.

    >>> list(open_sources(None, scale=2))
    ['photographs']
    """
    if roots is None:
        return {Photographs.name: Photographs()}
    roots = [roots] if isinstance(roots, str) else roots
    items = [_published_set(root, scale) or existing_folder(root) for root in roots]
    if not items:
        raise UserError("the list of folders is empty", cure="Name at least one, or null for the built-in photographs")
    paths = [item if isinstance(item, Path) else item.folder for item in items]
    resolved = [path.resolve() for path in paths]
    repeated = [str(path) for path, target in zip(paths, resolved, strict=True) if resolved.count(target) > 1]
    if repeated:
        raise UserError(f"{repeated[0]} is named {len(repeated)} times", cure="Name every folder once")
    sources = [_open_folder(item, scale) if isinstance(item, Path) else item for item in items]
    names = [source.name for source in sources]
    for source, path in zip(sources, resolved, strict=True):
        source.check(scale)
        if names.count(source.name) > 1:
            source.name = printable_name("-".join(path.parts[-3:] if is_hr(path.name) else path.parts[-2:]))
    return _with_unique_names(sources)


def _published_set(root: str, scale: int) -> PublishedSet | None:
    """The published set that `root` names; None if it is the path of a folder, or if no set has that name."""
    path = expand_user(root)
    set_class = published_sets().get(path.name.casefold())
    if path.exists() or set_class is None:
        return None
    source = set_class(None if path.name == root else str(path.parent))
    source.check(scale)
    return source


def _open_folder(path: Path, scale: int) -> Source:
    """Paired if the folder contains LR images of this scale, otherwise Folder."""
    if pair_folders(path):
        paired = Paired(str(path))
        if paired.has_scale(scale):
            return paired
        folder = Folder(str(paired.hr))
        folder.name = paired.name
        return folder
    return Folder(str(path))


def _with_unique_names(sources: Sequence[Source]) -> dict[str, Source]:
    """Append -2, -3, … to repeated names, so that every set has its own row in a table."""
    by_name: dict[str, Source] = {}
    for source in sources:
        name, count = source.name, 2
        while name in by_name:
            name, count = f"{source.name}-{count}", count + 1
        source.name = name
        by_name[name] = source
    return by_name
