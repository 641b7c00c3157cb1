"""Fixtures for the data tests."""

import numpy as np
import pytest

from upnet.data.sources.files import FileEntry


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that have been decoded since the test started."""
    names: list[str] = []
    read = FileEntry.read

    def record_and_read(entry: FileEntry, max_pixels: int | None = None) -> np.ndarray:
        names.append(entry.name)
        return read(entry, max_pixels)

    monkeypatch.setattr(FileEntry, "read", record_and_read)
    return names
