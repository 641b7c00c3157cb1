"""What a number was made with."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

VERSION = "0.1.0"


PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "tensorboard", "numpy", "pillow", "scikit-image")


def versions() -> dict[str, Any]:
    """Packages, Python, machine and git revision, as plain data."""
    told = {name: metadata.version(name) for name in PACKAGES}
    return {
        "upnet": VERSION,
        "revision": git_revision(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **told,
    }


def git_revision() -> str | None:
    """The git commit of this code, with a + where files differ from it; None outside of a checkout."""
    where = Path(__file__).parent
    try:
        commit = _git(where, "rev-parse", "HEAD")
        return commit + ("+" if _git(where, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
