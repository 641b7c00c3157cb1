"""Folders of small pictures for the data tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from upnet.data.sources.files import FileEntry


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """noise(height, width, seed) -> (height, width, 3) uint8."""

    def make(height: int, width: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng([seed, height, width]).integers(0, 256, (height, width, 3), np.uint8)

    return make


@pytest.fixture
def hr_folder(tmp_path: Path, noise: Callable[..., np.ndarray]) -> Path:
    """Four pictures of several sizes, one of them in a subfolder."""
    root = tmp_path / "pictures"
    (root / "more").mkdir(parents=True)
    for index, (name, size) in enumerate({"a": (40, 56), "b": (33, 47), "c": (64, 32), "more/d": (35, 36)}.items()):
        Image.fromarray(noise(*size, seed=index)).save(root / f"{name}.png")
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures decoded since."""
    names: list[str] = []
    read = FileEntry.read

    def counted(entry: FileEntry, max_pixels: int | None = None) -> np.ndarray:
        names.append(entry.name)
        return read(entry, max_pixels)

    monkeypatch.setattr(FileEntry, "read", counted)
    return names
