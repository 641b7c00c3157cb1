"""Photographs for the audit's tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import ROOT

from upnet.data.sources.photographs import Photographs
from upnet.imaging.reading import read_rgb

NAMES = ("astronaut", "camera", "chelsea", "coffee", "rocket", "coins")
IMAGES = Path("../shared/images")


@pytest.fixture(scope="session")
def photographs() -> dict[str, np.ndarray]:
    """Name -> (H, W, 3) uint8 of six photographs, 256 pixels on their shorter side."""
    found = {}
    for entry in Photographs(NAMES).images():
        picture = Image.fromarray(entry.read())
        factor = 256 / min(picture.size)
        size = round(picture.width * factor), round(picture.height * factor)
        found[entry.name] = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    return found


@pytest.fixture
def save() -> Callable[[Path, np.ndarray], None]:
    """Write a picture, its folders as well."""

    def write(path: Path, picture: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(picture)).save(path, quality=60)

    return write


@pytest.fixture(scope="session")
def benchmark_sets() -> Path:
    """The folder of Set5 and Set14."""
    folder = ROOT / IMAGES
    if not (folder / "Set5").is_dir():
        pytest.skip(f"needs the benchmark pictures in {IMAGES}")
    return read_only(folder)


def read_only(folder: Path) -> Path:
    """The folder; a picture of it can be read."""
    read_rgb(next((folder / "Set5" / "HR").glob("*.png")))
    return folder
