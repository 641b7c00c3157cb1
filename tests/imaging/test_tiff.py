"""TIFF files written by write_image are read by tifffile and Pillow."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from upnet.imaging.image import Metadata, RasterImage
from upnet.imaging.reading import read_image
from upnet.imaging.writing import write_image
from upnet.utils.errors import UserError


def noise(*shape: int, dtype: type) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("exif", [None, b"MM\0*\0\0\0\x08\0\0\0\0\0\0"], ids=["little", "big"])
def test_tifffile_reads_all_samples_exactly(tmp_path: Path, channels: int, dtype: type, exif: bytes | None) -> None:
    samples = noise(70, 19, dtype=dtype) if channels == 1 else noise(70, 19, channels, dtype=dtype)
    write_image(RasterImage(samples, Metadata(exif=exif)), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert file.byteorder == ("<" if exif is None else ">")
        assert len(file.pages) == 1
        assert np.array_equal(page.asarray().reshape(samples.shape), samples)
        assert page.tags["ExtraSamples"].value == (2,) if channels in (2, 4) else "ExtraSamples" not in page.tags


def test_an_image_of_many_strips_is_read_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.imaging.writing._STRIP_BYTES", 300)
    samples = noise(47, 13, 3, dtype=np.uint16)
    write_image(RasterImage(samples, Metadata(b"profile")), tmp_path / "a.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), samples)
    with Image.open(tmp_path / "a.tif") as image:
        assert np.array_equal(np.asarray(image), samples >> 8)
        assert image.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_directories_and_other_metadata_are_written_together(tmp_path: Path, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x8298], exif[0x011A], exif[0x011B] = "Maker", "© somebody", 72.5, 72.5
    exif[0x8769] = {0x9003: "2024:02:29 12:00:00", 0x829A: (1, 250)}
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.5)}
    exif_block = exif.tobytes().removeprefix(b"Exif\0\0")
    metadata = Metadata(b"profile" * 9, exif_block, b"<x:xmpmeta/>", (300.0, 150.0))
    write_image(RasterImage(noise(9, 7, 4, dtype=np.uint16), metadata), tmp_path / "a.tif")
    written = read_image(tmp_path / "a.tif").metadata
    assert (written.icc, written.xmp, written.density) == (metadata.icc, metadata.xmp, metadata.density)
    with Image.open(tmp_path / "a.tif") as image:
        tags = image.getexif()
        assert (tags[0x010F], tags.get_ifd(0x8769)[0x9003]) == ("Maker", "2024:02:29 12:00:00")
        assert tags.get_ifd(0x8825)[2] == (48.0, 12.0, 30.5)


def test_more_than_4_gb_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object, **__: object) -> None:
        raise ValueError("data too large for non-BigTIFF file")  # the message of tifffile

    monkeypatch.setattr(tifffile, "imwrite", too_large)
    with pytest.raises(UserError, match=r"at most 4 GB, and this image needs more\. Write a \.png"):
        write_image(RasterImage(noise(4, 6, 3, dtype=np.uint16)), tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())
