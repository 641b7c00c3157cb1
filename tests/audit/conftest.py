"""Photographs for the tests of the audit."""

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
    photographs_by_name = {}
    for entry in Photographs(NAMES).images():
        image = Image.fromarray(entry.read())
        factor = 256 / min(image.size)
        size = round(image.width * factor), round(image.height * factor)
        photographs_by_name[entry.name] = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    return photographs_by_name


@pytest.fixture
def save() -> Callable[[Path, np.ndarray], None]:
    """save(path, image): write an image and create its parent folders."""

    def write(path: Path, image: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(image)).save(path, quality=60)

    return write


@pytest.fixture(scope="session")
def benchmark_sets() -> Path:
    """The folder of Set5 and Set14."""
    folder = ROOT / IMAGES
    if not (folder / "Set5").is_dir():
        pytest.skip(f"needs the benchmark images in {IMAGES}")
    return check_readable(folder)


def check_readable(folder: Path) -> Path:
    """Return the folder after reading one of its images."""
    read_rgb(next((folder / "Set5" / "HR").glob("*.png")))
    return folder
