"""Where a store goes."""

import logging
import os
from pathlib import Path

from upnet.command_line import user_path
from upnet.data.sources.base import Source

log = logging.getLogger(__name__)

FOLDER = ".upnet"


def places(source: Source, cache_dir: str | Path | None) -> list[Path]:
    """The folders that may hold a source's store, the preferred one first.

    cache_dir alone where it is given; else beside the pictures, or in the project's data folder for pictures that come
    from no folder; and the user's cache folder last.
    """
    if cache_dir is not None:
        return [user_path(cache_dir)]
    home = source.home or project_data()
    return [*([home / FOLDER] if home is not None else []), user_cache()]


def writable(candidates: list[Path]) -> Path:
    """The first folder that can be written, created if need be.

    Raises ValueError where none can. A folder whose permissions allow writing to nobody counts as read-only for the
    superuser too: someone wanted it left alone.
    """
    for candidate in candidates:
        if _prepare(candidate):
            if candidate != candidates[0]:
                log.info("%s cannot be written; the decoded pictures go to %s", candidates[0], candidate)
            return candidate
    told = " nor ".join(str(candidate) for candidate in candidates)
    raise ValueError(
        f"The decoded pictures cannot be written to {told}; name a writable folder by data.cache_dir=FOLDER"
    )


def user_cache() -> Path:
    """$XDG_CACHE_HOME/upnet or ~/.cache/upnet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "upnet"


def project_data() -> Path | None:
    """The data folder of the checkout that upnet runs from; None where upnet is installed elsewhere."""
    project = Path(__file__).resolve().parents[2]
    data = project / "data"
    return data if (project / "pyproject.toml").is_file() and data.is_dir() else None


def _prepare(folder: Path) -> bool:
    standing = folder
    while not standing.exists() and standing != standing.parent:
        standing = standing.parent
    if not standing.is_dir() or not standing.stat().st_mode & 0o222 or not os.access(standing, os.W_OK | os.X_OK):
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True
