"""read_rgb: every colour mode and depth compared with known values, and messages on invalid files."""

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import ROOT

from upnet.imaging.reading import SUFFIXES, BrokenImageError, read_rgb

Noise = Callable[..., np.ndarray]


def _png16(samples: np.ndarray) -> bytes:
    """A PNG of (H, W, C) samples in 0..65535, written without a library: C = 1 grey, 2 grey + alpha, 3 RGB, 4 RGBA."""
    height, width, channels = samples.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".PNG"])
def test_lossless_rgb_files_are_read_exactly(tmp_path: Path, noise: Noise, suffix: str) -> None:
    image = noise(7, 11)
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(image).save(tmp_path / f"a{suffix}", **options)
    read = read_rgb(tmp_path / f"a{suffix}")
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    assert np.array_equal(read, image)


def test_a_jpeg_is_close_to_its_source(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (48, 32, 3))
    Image.fromarray(np.ascontiguousarray(ramp)).save(tmp_path / "a.jpeg", quality=95)
    assert np.abs(read_rgb(tmp_path / "a.jpeg").astype(int) - ramp).max() <= 4


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_is_repeated_and_alpha_is_ignored(tmp_path: Path, noise: Noise, mode: str) -> None:
    grey = noise(6, 9)[..., 0]
    if mode == "1":
        grey = np.where(grey > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(grey).convert(mode)
    if mode == "LA":
        image.putalpha(Image.fromarray(noise(6, 9)[..., 1]))
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_rgb(tmp_path / "a.png"), np.repeat(grey[..., None], 3, axis=-1))


def test_alpha_does_not_affect_the_colours(tmp_path: Path, noise: Noise) -> None:
    image = noise(6, 9)
    rgba = np.concatenate([image, noise(6, 9, seed=1)[..., :1]], axis=-1)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert np.array_equal(read_rgb(tmp_path / "a.png"), image)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_is_expanded(tmp_path: Path, noise: Noise, transparent: bool) -> None:
    colours, indices = noise(16, 1)[:, 0], noise(6, 9)[..., 0] % 16
    image = Image.fromarray(indices).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colours.tobytes())
    options: dict[str, Any] = {"transparency": 3} if transparent else {}
    image.save(tmp_path / "a.png", **options)
    assert np.array_equal(read_rgb(tmp_path / "a.png"), colours[indices])


def test_cmyk_is_converted_to_rgb(tmp_path: Path) -> None:
    cmyk = np.zeros((8, 8, 4), np.uint8)
    cmyk[:, 4:, 1] = 255  # magenta absorbs all green
    Image.fromarray(cmyk, "CMYK").save(tmp_path / "a.tif")
    assert np.array_equal(read_rgb(tmp_path / "a.tif")[0, [0, 4]], [[255, 255, 255], [255, 0, 255]])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_rounded_to_the_nearest_8_bit_level(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (40, 50, channels))
    samples[0, :3, :] = [[0], [128], [129]]  # 128 / 257 rounds down, 129 / 257 up
    samples[1, :3, :] = [[65535], [65407], [65406]]
    (tmp_path / "a.png").write_bytes(_png16(samples))
    colours = samples[..., :3] if channels > 2 else np.repeat(samples[..., :1], 3, axis=-1)
    assert np.array_equal(read_rgb(tmp_path / "a.png"), np.rint(colours / 257).astype(np.uint8))


def test_a_16_bit_grey_tiff_is_rounded_to_8_bits(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (12, 15), np.uint16)
    Image.fromarray(samples).save(tmp_path / "a.tif")
    assert np.array_equal(read_rgb(tmp_path / "a.tif")[..., 1], np.rint(samples / 257).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sixteen_bit", [False, True])
def test_the_exif_orientation_is_applied(tmp_path: Path, noise: Noise, orientation: int, sixteen_bit: bool) -> None:
    image = noise(5, 8)
    # The stored pixels by the definition of the tag: the sides of the scene that row 0 and column 0 show.
    stored = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.swapaxes(0, 1),
        6: np.rot90(image, 1),
        7: image[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(image, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    if sixteen_bit:
        chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        plain = _png16(stored.astype(np.int64) * 257)
        exif_chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        (tmp_path / "a.png").write_bytes(plain[:33] + exif_chunk + plain[33:])
    else:
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_rgb(tmp_path / "a.png"), image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_file_with_damaged_exif_is_read(tmp_path: Path, noise: Noise, suffix: str) -> None:
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(noise(6, 9)).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0no EXIF at all", **options)
    assert read_rgb(tmp_path / f"a{suffix}").shape == (6, 9, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_a_truncated_file_is_rejected_by_name(tmp_path: Path, noise: Noise, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(noise(64, 64)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BrokenImageError, match=f"cut{suffix} cannot be read as an image"):
        read_rgb(path)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_without_an_image_is_rejected_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        read_rgb(tmp_path / "a.png")


def test_a_missing_file_is_rejected_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image: there is no such file"):
        read_rgb(tmp_path / "a.png")


def test_32_bit_pixels_are_rejected(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="32 bits"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"compression": "zlib"}])
def test_a_16_bit_colour_tiff_is_rounded_to_8_bits(tmp_path: Path, options: dict[str, Any]) -> None:
    tifffile = pytest.importorskip("tifffile")
    samples = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", **options)
    assert np.array_equal(read_rgb(tmp_path / "a.tif"), np.rint(samples / 257).astype(np.uint8))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_16_bit_tiff_with_separate_planes_is_rounded_to_8_bits(tmp_path: Path, orientation: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    samples = np.random.default_rng(0).integers(0, 65536, (3, 9, 7), np.uint16)
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", planarconfig="separate", extratags=[tag])
    expected = np.moveaxis(np.rint(samples / 257).astype(np.uint8), 0, -1)
    assert np.array_equal(read_rgb(tmp_path / "a.tif"), expected if orientation == 1 else np.rot90(expected, -1))


def test_a_16_bit_tiff_with_unsupported_compression_is_rejected(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    samples = np.random.default_rng(0).integers(0, 65536, (3, 9, 7), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", planarconfig="separate", compression="zlib")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[0].tags["Compression"].valueoffset
    content[offset : offset + 2] = struct.pack("<H", 34927)  # WebP
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(BrokenImageError, match="Save it as PNG"):
        read_rgb(tmp_path / "a.tif")


def test_an_image_above_the_pixel_limit_is_rejected_with_a_remedy(tmp_path: Path, noise: Noise) -> None:
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    with pytest.raises(BrokenImageError, match=r"30×20 = 600 pixels, more than max_pixels=599\. Raise max_pixels"):
        read_rgb(tmp_path / "a.png", max_pixels=599)
    assert read_rgb(tmp_path / "a.png", max_pixels=600).shape == (20, 30, 3)


def test_the_pixel_limit_applies_to_layouts_unknown_to_pillow(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    samples = np.zeros((20, 30, 2), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack", extrasamples=["unassalpha"])
    with pytest.raises(BrokenImageError, match=r"30×20 = 600 pixels, more than max_pixels=599\. Raise max_pixels"):
        read_rgb(tmp_path / "a.tif", max_pixels=599)
    assert read_rgb(tmp_path / "a.tif", max_pixels=600).shape == (20, 30, 3)


@pytest.mark.parametrize(
    "suffix",
    [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif", ".avif", ".jp2", ".ppm", ".tga", ".qoi", ".pcx", ".sgi", ".dds"],
)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_raises_broken_image_error(
    tmp_path: Path, noise: Noise, suffix: str, seed: int
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(noise(24, 24)).save(path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for offset in rng.integers(0, len(content), rng.integers(1, 8)):
        content[offset] = rng.integers(0, 256)
    path.write_bytes(content)
    with suppress(BrokenImageError):
        assert read_rgb(path).shape[2] == 3


def test_suffixes_include_the_formats_of_the_readme() -> None:
    readme = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert all(name in readme for name in ("PNG", "JPEG", "BMP", "TIFF", "WebP", "GIF", "AVIF", "JPEG 2000"))
    assert {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"} <= set(SUFFIXES)
    assert not {".eps", ".pdf", ".svg", ".txt", ".ico"} & set(SUFFIXES)
