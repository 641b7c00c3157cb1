"""TIFF, read back by tifffile and by Pillow."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from upnet.imaging.tiff import write_tiff


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("exif", [None, b"MM\0*\0\0\0\x08\0\0\0\0\0\0"], ids=["little", "big"])
def test_tifffile_reads_every_sample(tmp_path: Path, channels: int, dtype: type, exif: bytes | None) -> None:
    samples = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (70, 19, channels), dtype)
    with (tmp_path / "a.tif").open("wb") as file:
        write_tiff(file, samples, exif=exif)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert file.byteorder == ("<" if exif is None else ">")
        assert np.array_equal(page.asarray().reshape(samples.shape), samples)
        assert page.tags["ExtraSamples"].value == (2,) if channels in (2, 4) else "ExtraSamples" not in page.tags


def test_a_picture_of_many_strips_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.imaging.tiff._STRIP", 300)
    samples = np.random.default_rng(0).integers(0, 65536, (47, 13, 3), np.uint16)
    with (tmp_path / "a.tif").open("wb") as file:
        write_tiff(file, samples, b"profile")
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), samples)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.asarray(image), samples >> 8)
        assert image.info["icc_profile"] == b"profile"


def test_more_than_4_gb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.imaging.tiff._FULL", 1000)
    monkeypatch.setattr("upnet.imaging.tiff._STRIP", 300)
    samples = np.random.default_rng(0).integers(0, 65536, (47, 13, 3), np.uint16)
    with pytest.raises(ValueError, match=r"at most 4 GB, and this would be more: write a \.png"):
        write_tiff(io.BytesIO(), samples)
