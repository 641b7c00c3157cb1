"""Versions of the software that produced a result."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

VERSION = "0.1.0"

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "tensorboard", "numpy", "pillow", "scikit-image")
"""The packages whose versions are recorded."""


def versions() -> dict[str, Any]:
    """The versions of upnet, Python and packages, the git commit and the kind of machine, as plain data.

    >>> versions()["upnet"] == VERSION
    True
    """
    return {
        "upnet": VERSION,
        "revision": git_revision(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{name: metadata.version(name) for name in PACKAGES},
    }


def git_revision() -> str | None:
    """The git commit of this code, with a `+` if files are modified; None outside a checkout.

    >>> revision = git_revision()
    >>> revision is None or len(revision.rstrip("+")) == 40
    True
    """
    folder = Path(__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
