"""Pictures are read with everything that belongs to them."""

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


def png(path: Path, kind: int, depth: int, size: tuple[int, int], rows: bytes, *extra: tuple[bytes, bytes]) -> Path:
    """A PNG by hand: `rows` as they stand in it, each with its filter byte."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0))
    between = b"".join(chunk(name, content) for name, content in extra)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_read_with_sixteen(tmp_path: Path, channels: int, suffix: str) -> None:
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
def test_sixteen_bit_tiff_of_any_layout(tmp_path: Path, options: dict[str, Any]) -> None:
    samples = noise(9, 7, 3, dtype=np.uint16)
    stored = np.moveaxis(samples, -1, 0) if "planarconfig" in options else samples
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    assert np.array_equal(read_image(tmp_path / "a.tif").samples, samples)


def test_colours_that_were_multiplied_by_alpha_are_divided(tmp_path: Path) -> None:
    samples = noise(9, 7, 4, dtype=np.uint16)
    samples[..., 3] |= 0x8000
    wide = samples.astype(np.float64)
    wide[..., :3] *= wide[..., 3:] / 65535
    stored = np.rint(wide).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    read = read_image(tmp_path / "a.tif").samples
    assert np.array_equal(read[..., 3], samples[..., 3])
    assert np.abs(read.astype(int) - samples).max() <= 1  # twice a half, at half transparency


@pytest.mark.parametrize(
    ("kind", "depth", "stored", "key", "expected"),
    [
        (0, 1, b"\x00\x40\x00\x80", 1, [[[0, 255], [255, 0]], [[255, 0], [0, 255]]]),
        (0, 2, b"\x00\x40\x00\x80", 2, [[[85, 255], [0, 255]], [[170, 0], [0, 255]]]),
        (0, 4, b"\x00\x57\x00\x70", 7, [[[85, 255], [119, 0]], [[119, 0], [0, 255]]]),
        (0, 8, b"\x00\x05\x07\x00\x07\x00", 7, [[[5, 255], [7, 0]], [[7, 0], [0, 255]]]),
    ],
)
def test_a_grey_that_stands_for_transparent_becomes_alpha(
    tmp_path: Path, kind: int, depth: int, stored: bytes, key: int, expected: list[Any]
) -> None:
    path = png(tmp_path / "a.png", kind, depth, (2, 2), stored, (b"tRNS", struct.pack(">H", key)))
    assert read_image(path).samples.tolist() == expected


def test_a_colour_that_stands_for_transparent_becomes_alpha_with_16_bits(tmp_path: Path) -> None:
    samples = noise(4, 3, 3, dtype=np.uint16)
    samples[2, 1] = samples[0, 2]
    samples[1, 1] = samples[0, 2] ^ [0, 0, 1]  # differs in the last bit, and is opaque
    key = struct.pack(">3H", *samples[0, 2])
    for depth, shift in ((16, 0), (8, 8)):
        stored = (samples >> shift).astype(">u2" if depth == 16 else np.uint8)
        rows = b"".join(b"\0" + row.tobytes() for row in stored)
        told = key if depth == 16 else struct.pack(">3H", *(samples[0, 2] >> 8))
        read = read_image(png(tmp_path / "a.png", 2, depth, (3, 4), rows, (b"tRNS", told))).samples
        assert np.array_equal(read[..., :3], stored)
        clear = [(0, 2), (2, 1)] if depth == 16 else [(0, 2), (1, 1), (2, 1)]
        assert sorted(zip(*np.nonzero(read[..., 3] == 0), strict=True)) == clear


@pytest.mark.parametrize("transparency", [3, bytes(range(0, 160, 10))])
def test_a_palette_with_transparency_becomes_colours_with_alpha(tmp_path: Path, transparency: int | bytes) -> None:
    colours, numbers = noise(16, 3), noise(6, 9) % 16
    image = Image.frombytes("P", (9, 6), numbers.tobytes())
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", transparency=transparency)
    alpha = np.full(16, 255) if isinstance(transparency, int) else np.array(list(transparency))
    if isinstance(transparency, int):
        alpha[transparency] = 0
    read = read_image(tmp_path / "a.png").samples
    assert np.array_equal(read[..., :3], colours[numbers])
    assert np.array_equal(read[..., 3], alpha[numbers])


def test_inks_become_srgb_and_their_profile_goes(tmp_path: Path) -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:, 4:, 1] = 255
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.tif", icc_profile=b"no profile")
    picture = read_image(tmp_path / "a.tif")
    assert picture.samples[0, [0, 4]].tolist() == [[255, 255, 255], [255, 0, 255]]
    assert picture.metadata.icc is None
    assert any("CMYK" in remark for remark in picture.remarks)


def test_a_profile_is_kept_to_the_byte(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        Image.fromarray(noise(6, 5, 3)).save(tmp_path / f"a{suffix}", icc_profile=profile)
        assert read_image(tmp_path / f"a{suffix}").metadata.icc == profile


def test_what_png_says_of_colours_is_kept(tmp_path: Path) -> None:
    told = [(b"gAMA", struct.pack(">I", 100000)), (b"cHRM", struct.pack(">8I", *range(31270, 31278)))]
    path = png(tmp_path / "a.png", 0, 8, (1, 1), b"\0\7", *told, (b"sRGB", b"\1"))
    assert read_image(path).metadata.colour == (*told, (b"sRGB", b"\1"))


def test_damaged_exif_costs_the_exif_and_not_the_picture(tmp_path: Path) -> None:
    Image.fromarray(noise(6, 5, 3)).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    picture = read_image(tmp_path / "a.png")
    larger = picture.with_samples(np.zeros((12, 10, 3), np.uint8))
    assert larger.metadata.exif is None
    assert any("EXIF" in remark for remark in larger.remarks)


def test_the_first_of_several_pages_is_taken_and_told(tmp_path: Path) -> None:
    first, second = (Image.fromarray(noise(6, 5, 3) // share) for share in (1, 2))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    picture = read_image(tmp_path / "a.tif")
    assert np.array_equal(picture.samples, np.asarray(first))
    assert picture.remarks == ("has 2 frames, of which only the first is used",)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, suffix: str) -> None:
    if suffix == ".png":
        path = png(tmp_path / "a.png", 0, 1, (100_000, 100_000), b"")
    else:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, shape=(2, 100_000, 1000), dtype=np.uint16, photometric="minisblack")  # not a bomb
        path.unlink()
        Image.new("1", (20_000, 10_000)).save(path, compression="group4")
    with pytest.raises(BrokenImageError, match=r"a\.\w+ .*more than max_pixels=178956970"):
        read_image(path)


def test_the_limit_can_be_lowered_and_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(BrokenImageError, match=r"30×20 = 600 pixels, more than max_pixels=599"):
        read_image(tmp_path / "a.png", 599)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BrokenImageError, match="max_pixels=200"):
        read_image(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 600).size == (30, 20)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_limit_holds_also_where_pillow_does_not_know_the_layout(tmp_path: Path) -> None:
    samples = noise(20, 30, 2, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack", extrasamples=["unassalpha"])
    with pytest.raises(BrokenImageError, match=r"30×20 = 600 pixels, more than max_pixels=599"):
        read_image(tmp_path / "a.tif", 599)
    assert read_image(tmp_path / "a.tif", 600).size == (30, 20)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_an_agreed_white_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4), 70000).save(tmp_path / "a.tif")
    with pytest.raises(BrokenImageError, match="32 bits"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_read_or_refused_but_never_anything_else(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    suffix = (".png", ".tif", ".jpg", ".webp")[seed % 4]
    file = io.BytesIO()
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010F] = "Maker of cameras"
    Image.fromarray(noise(12, 10, 3)).save(file, {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:]), exif=tags)
    content = bytearray(file.getvalue())
    for place in rng.integers(0, min(len(content), 400), rng.integers(1, 6)):
        content[place] = rng.integers(0, 256)
    (tmp_path / f"a{suffix}").write_bytes(content)
    try:
        picture = read_image(tmp_path / f"a{suffix}", 10_000)
    except BrokenImageError as error:
        told = str(error)
    else:
        told = f"a{suffix}"
        picture.with_samples(picture.samples.repeat(2, 0).repeat(2, 1))
    assert f"a{suffix}" in told
