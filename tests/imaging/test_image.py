"""read_image returns the pixels and the metadata of image files."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from upnet.imaging.reading import BrokenImageError, read_image
from upnet.imaging.writing import write_png16


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def png(
    path: Path, colour_type: int, depth: int, size: tuple[int, int], rows: bytes, *extra: tuple[bytes, bytes]
) -> Path:
    """Write a PNG without a library. `rows` contains the rows with their filter bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0))
    between = b"".join(chunk(name, content) for name, content in extra)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_files_are_read_with_16_bits(tmp_path: Path, channels: int, suffix: str) -> None:
    samples = noise(9, 7, channels, dtype=np.uint16)
    if suffix == ".png":
        with (tmp_path / "a.png").open("wb") as file:
            write_png16(file, samples)
    else:
        extra = ["unassalpha"] if channels in (2, 4) else None
        photometric = "rgb" if channels > 2 else "minisblack"
        stored = samples[..., 0] if channels == 1 else samples
        layout = "contig" if channels > 1 else None
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, planarconfig=layout, extrasamples=extra)
    read = read_image(tmp_path / f"a{suffix}").samples
    assert read.dtype == np.uint16
    assert np.array_equal(read, samples[..., 0] if channels == 1 else samples)


@pytest.mark.parametrize("options", [{"byteorder": ">"}, {"compression": "zlib"}, {"planarconfig": "separate"}])
def test_16_bit_tiffs_of_every_layout_are_read(tmp_path: Path, options: dict[str, Any]) -> None:
    samples = noise(9, 7, 3, dtype=np.uint16)
    stored = np.moveaxis(samples, -1, 0) if "planarconfig" in options else samples
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    assert np.array_equal(read_image(tmp_path / "a.tif").samples, samples)


def test_premultiplied_colours_are_divided_by_alpha(tmp_path: Path) -> None:
    samples = noise(9, 7, 4, dtype=np.uint16)
    samples[..., 3] |= 0x8000
    premultiplied = samples.astype(np.float64)
    premultiplied[..., :3] *= premultiplied[..., 3:] / 65535
    stored = np.rint(premultiplied).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    read = read_image(tmp_path / "a.tif").samples
    assert np.array_equal(read[..., 3], samples[..., 3])
    assert np.abs(read.astype(int) - samples).max() <= 1  # two rounding errors of 0.5 each


@pytest.mark.parametrize(
    ("colour_type", "depth", "stored", "key", "expected"),
    [
        (0, 1, b"\x00\x40\x00\x80", 1, [[[0, 255], [255, 0]], [[255, 0], [0, 255]]]),
        (0, 2, b"\x00\x40\x00\x80", 2, [[[85, 255], [0, 255]], [[170, 0], [0, 255]]]),
        (0, 4, b"\x00\x57\x00\x70", 7, [[[85, 255], [119, 0]], [[119, 0], [0, 255]]]),
        (0, 8, b"\x00\x05\x07\x00\x07\x00", 7, [[[5, 255], [7, 0]], [[7, 0], [0, 255]]]),
    ],
)
def test_a_transparent_grey_level_becomes_alpha(
    tmp_path: Path, colour_type: int, depth: int, stored: bytes, key: int, expected: list[Any]
) -> None:
    path = png(tmp_path / "a.png", colour_type, depth, (2, 2), stored, (b"tRNS", struct.pack(">H", key)))
    assert read_image(path).samples.tolist() == expected


def test_a_transparent_colour_becomes_alpha(tmp_path: Path) -> None:
    samples = noise(4, 3, 3, dtype=np.uint16)
    samples[2, 1] = samples[0, 2]
    samples[1, 1] = samples[0, 2] ^ [0, 0, 1]  # differs in the last bit: opaque
    key = struct.pack(">3H", *samples[0, 2])
    for depth, shift in ((16, 0), (8, 8)):
        stored = (samples >> shift).astype(">u2" if depth == 16 else np.uint8)
        rows = b"".join(b"\0" + row.tobytes() for row in stored)
        stored_key = key if depth == 16 else struct.pack(">3H", *(samples[0, 2] >> 8))
        read = read_image(png(tmp_path / "a.png", 2, depth, (3, 4), rows, (b"tRNS", stored_key))).samples
        assert np.array_equal(read[..., :3], stored)
        transparent = [(0, 2), (2, 1)] if depth == 16 else [(0, 2), (1, 1), (2, 1)]
        assert sorted(zip(*np.nonzero(read[..., 3] == 0), strict=True)) == transparent


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 160, 10))])
def test_a_palette_with_transparency_becomes_rgba(tmp_path: Path, transparency: int | bytes) -> None:
    colours, indices = noise(16, 3), noise(6, 9) % 16
    image = Image.frombytes("P", (9, 6), indices.tobytes())
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", transparency=transparency)
    alpha = np.full(16, 255) if isinstance(transparency, int) else np.array(list(transparency))
    if isinstance(transparency, int):
        alpha[transparency] = 0
    read = read_image(tmp_path / "a.png").samples
    assert np.array_equal(read[..., :3], colours[indices])
    assert np.array_equal(read[..., 3], alpha[indices])


def test_cmyk_becomes_srgb_without_its_profile(tmp_path: Path) -> None:
    cmyk = np.zeros((8, 8, 4), np.uint8)
    cmyk[:, 4:, 1] = 255
    Image.fromarray(cmyk, "CMYK").save(tmp_path / "a.tif", icc_profile=b"no profile")
    image = read_image(tmp_path / "a.tif")
    assert image.samples[0, [0, 4]].tolist() == [[255, 255, 255], [255, 0, 255]]
    assert image.metadata.icc is None
    assert any("CMYK" in remark for remark in image.remarks)


def test_a_colour_profile_is_kept_byte_for_byte(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        Image.fromarray(noise(6, 5, 3)).save(tmp_path / f"a{suffix}", icc_profile=profile)
        assert read_image(tmp_path / f"a{suffix}").metadata.icc == profile


def test_png_colour_chunks_are_kept(tmp_path: Path) -> None:
    chunks = [(b"gAMA", struct.pack(">I", 100000)), (b"cHRM", struct.pack(">8I", *range(31270, 31278)))]
    path = png(tmp_path / "a.png", 0, 8, (1, 1), b"\0\7", *chunks, (b"sRGB", b"\1"))
    assert read_image(path).metadata.colour == (*chunks, (b"sRGB", b"\1"))


def test_damaged_exif_is_dropped_and_the_image_is_read(tmp_path: Path) -> None:
    Image.fromarray(noise(6, 5, 3)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    image = read_image(tmp_path / "a.png")
    upscaled = image.with_samples(np.zeros((12, 10, 3), np.uint8))
    assert upscaled.metadata.exif is None
    assert any("EXIF" in remark for remark in upscaled.remarks)


def test_the_first_of_several_pages_is_read_with_a_remark(tmp_path: Path) -> None:
    first, second = (Image.fromarray(noise(6, 5, 3) // share) for share in (1, 2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    image = read_image(tmp_path / "a.tif")
    assert np.array_equal(image.samples, np.asarray(first))
    assert image.remarks == ("has 2 frames, of which only the first is used",)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_decompression_bomb_is_rejected_before_decompression(tmp_path: Path, suffix: str) -> None:
    if suffix == ".png":
        path = png(tmp_path / "a.png", 0, 1, (100_000, 100_000), b"")
    else:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, shape=(2, 100_000, 1000), dtype=np.uint16, photometric="minisblack")  # not a bomb
        path.unlink()
        Image.new("1", (20_000, 10_000)).save(path, compression="group4")
    with pytest.raises(BrokenImageError, match=r"a\.\w+ .*more than max_pixels=178956970"):
        read_image(path)


def test_the_pixel_limit_can_be_lowered_and_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(BrokenImageError, match=r"30×20 = 600 pixels, more than max_pixels=599"):
        read_image(tmp_path / "a.png", 599)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BrokenImageError, match="max_pixels=200"):
        read_image(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 600).size == (30, 20)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_pixel_limit_applies_to_layouts_unknown_to_pillow(tmp_path: Path) -> None:
    samples = noise(20, 30, 2, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack", extrasamples=["unassalpha"])
    with pytest.raises(BrokenImageError, match=r"30×20 = 600 pixels, more than max_pixels=599"):
        read_image(tmp_path / "a.tif", 599)
    assert read_image(tmp_path / "a.tif", 600).size == (30, 20)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_32_bit_pixels_are_rejected(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4), 70000).save(tmp_path / "a.tif")
    with pytest.raises(BrokenImageError, match="32 bits"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_read_or_raises_broken_image_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    suffix = (".png", ".tif", ".jpg", ".webp")[seed % 4]
    file = io.BytesIO()
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010F] = "Maker of cameras"
    Image.fromarray(noise(12, 10, 3)).save(file, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:]), exif=tags)
    content = bytearray(file.getvalue())
    for offset in rng.integers(0, min(len(content), 400), rng.integers(1, 6)):
        content[offset] = rng.integers(0, 256)
    (tmp_path / f"a{suffix}").write_bytes(content)
    try:
        image = read_image(tmp_path / f"a{suffix}", 10_000)
    except BrokenImageError as error:
        message = str(error)
    else:
        message = f"a{suffix}"
        image.with_samples(image.samples.repeat(2, 0).repeat(2, 1))
    assert f"a{suffix}" in message
