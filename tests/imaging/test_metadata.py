"""Metadata is kept between all formats that support it, and dropped metadata is reported."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from upnet.imaging.formats import FORMATS
from upnet.imaging.image import Metadata, RasterImage
from upnet.imaging.pillow import from_pillow, to_pillow
from upnet.imaging.png_chunks import MAX_BYTES, find_chunks
from upnet.imaging.png_metadata import comment_chunk
from upnet.imaging.reading import BrokenImageError, read_image, read_rgb
from upnet.imaging.writing import write_image
from upnet.inference.files import upscale_file
from upnet.inference.upscaler import Upscaler

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="1" dc:title="A"/></x:xmpmeta>'
PARAMETERS = "a very long text " * 120_000  # 2 MB
GAMMA = struct.pack(">I", 100000)
CHROMATICITIES = struct.pack(">8I", *range(31270, 31278))
SUPPORTED = {
    ".png": {"profile", "exif", "xmp", "resolution", "colours", "text", "comment"},
    ".jpg": {"profile", "exif", "xmp", "resolution", "comment"},
    ".tif": {"profile", "exif", "xmp", "resolution"},
    ".webp": {"profile", "exif", "xmp"},
    ".bmp": {"resolution"},
}
NAMES_IN_REMARKS = {
    "profile": "colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "resolution": "resolution",
    "colours": "gamma, chromaticities",
    "text": 'text "Title", text "parameters"',
    "comment": 'text "Comment"',
}


class PixelDoubler:
    """An Upscaler stub that repeats pixels."""

    scale = 2

    def upscale(self, samples: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(samples.repeat(2, 0).repeat(2, 1))


def upscale_copy(source: Path, target: Path) -> Sequence[str]:
    return upscale_file(cast(Upscaler, PixelDoubler()), source, target)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    path: Path, *extra: tuple[bytes, bytes], after: Sequence[tuple[bytes, bytes]] = (), sixteen_bit: bool = False
) -> Path:
    """Write a PNG of 6×4 pixels without a library, with chunks before and after the pixels."""
    samples = noise(4, 6, 3, dtype=np.uint16 if sixteen_bit else np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in samples.astype(">u2" if sixteen_bit else np.uint8))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16 if sixteen_bit else 8, 2, 0, 0, 0)), *extra]
    parts += [(b"IDAT", zlib.compress(rows)), *after, (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


def itxt(key: bytes, text: bytes, packed: bool = False) -> tuple[bytes, bytes]:
    return b"iTXt", key + (b"\0\1\0\0\0" + zlib.compress(text) if packed else bytes(5) + text)


def exif_of(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", orientation
    return exif


def write_with_all_metadata(path: Path, sixteen_bit: bool) -> Path:
    """Write a file with all metadata that its format supports, without upnet."""
    image, options = Image.fromarray(noise(4, 6, 3)), {"exif": exif_of(), "icc_profile": PROFILE, "xmp": XMP}
    if path.suffix == ".png":
        colour_chunks = [
            (b"gAMA", GAMMA),
            (b"cHRM", CHROMATICITIES),
            (b"iCCP", b"own name\0\0" + zlib.compress(PROFILE)),
        ]
        other_chunks = [(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)), (b"eXIf", exif_of().tobytes()[6:])]
        texts = [(b"tEXt", b"Title\0A \xe9"), itxt(b"parameters", PARAMETERS.encode(), packed=True)]
        after = [itxt(b"XML:com.adobe.xmp", XMP), (b"zTXt", b"Comment\0\0" + zlib.compress(b"by hand"))]
        return png(path, *colour_chunks, *other_chunks, *texts, after=after, sixteen_bit=sixteen_bit)
    if path.suffix == ".tif":
        tags = [(700, "B", len(XMP), XMP, True), (271, "s", 0, "Maker", True)]
        samples = noise(4, 6, 3, dtype=np.uint16 if sixteen_bit else np.uint8)
        # tifffile names the unit differently before and after 2022. The number 2 is the inch in both.
        tifffile.imwrite(
            path,
            samples,
            photometric="rgb",
            resolution=(300, 300),
            resolutionunit=2,
            iccprofile=PROFILE,
            extratags=tags,
        )
        return path
    if path.suffix == ".jpg":
        options |= {"dpi": (300, 300), "comment": b"by hand"}
    if path.suffix == ".bmp":
        options = {"dpi": (300, 300)}
    image.save(path, **cast(dict[str, Any], options))
    return path


def metadata_in(path: Path) -> set[str]:
    """The metadata that Pillow reads with the values written by `write_with_all_metadata`."""
    with Image.open(path) as image:
        image.load()
        info = image.info
        present = {
            "profile": info.get("icc_profile") == PROFILE,
            "exif": image.getexif().get(0x010F) == "Maker",
            "xmp": info.get("xmp") == XMP,
            "resolution": tuple(np.round(np.array(info.get("dpi", (0, 0)), float), 2)) == (300, 300),
            "colours": (info.get("gamma"), info.get("chromaticity", (0,))[0]) == (1.0, 0.3127),
            "text": (info.get("Title"), info.get("parameters")) == ("A é", PARAMETERS),
            "comment": "by hand" in (info.get("Comment"), info.get("comment", b"").decode()),
        }
    return {name for name, is_present in present.items() if is_present}


@pytest.mark.parametrize("target", SUPPORTED)
@pytest.mark.parametrize(
    ("source", "sixteen_bit"),
    [
        (".png", False),
        (".png", True),
        (".jpg", False),
        (".tif", False),
        (".tif", True),
        (".webp", False),
        (".bmp", False),
    ],
)
def test_metadata_supported_by_the_target_format_is_kept_and_the_rest_is_reported(
    tmp_path: Path, source: str, sixteen_bit: bool, target: str
) -> None:
    remarks = upscale_copy(write_with_all_metadata(tmp_path / f"a{source}", sixteen_bit), tmp_path / f"b{target}")
    kept = SUPPORTED[source] & SUPPORTED[target]
    if target == ".webp" and source in (".tif", ".bmp"):
        # WebP stores the resolution in EXIF.
        assert read_image(tmp_path / "b.webp").metadata.density == pytest.approx((300, 300), rel=1e-6)
        lost = SUPPORTED[source] - SUPPORTED[target] - {"resolution"}
    else:
        lost = SUPPORTED[source] - SUPPORTED[target]
    assert metadata_in(tmp_path / f"b{target}") == kept
    depth = (
        [f"has 16 bits per channel, of which {target} keeps 8"]
        if sixteen_bit and target in (".jpg", ".webp", ".bmp")
        else []
    )
    names = ", ".join(NAMES_IN_REMARKS[name] for name in NAMES_IN_REMARKS if name in lost)
    assert list(remarks) == depth + ([f"lost its {names}, which {target} doesn't support"] if lost else [])
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.size == (12, 8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_metadata_is_invented(tmp_path: Path, suffix: str) -> None:
    write_image(RasterImage(noise(4, 6, 3)), tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    assert (image.metadata, image.remarks) == (Metadata(), ())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        itxt(b"prompt", PARAMETERS.encode(), packed=True),
        (b"zTXt", b"prompt\0\0" + zlib.compress(PARAMETERS.encode())),
        (b"tEXt", b"prompt\0" + PARAMETERS.encode()),
    ],
    ids=["iTXt", "zTXt", "tEXt"],
)
def test_an_image_with_a_long_text_is_read_and_keeps_the_text(
    tmp_path: Path, text: tuple[bytes, bytes], after: bool
) -> None:
    path = png(tmp_path / "a.png", *([] if after else [text]), after=[text] if after else [])
    assert np.array_equal(read_rgb(path), noise(4, 6, 3))
    assert np.array_equal(read_image(path).samples, noise(4, 6, 3))
    assert not upscale_copy(path, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert image.info["prompt"] == PARAMETERS


@pytest.mark.parametrize("sixteen_bit", [False, True])
def test_an_image_with_a_large_profile_is_read_and_keeps_the_profile(tmp_path: Path, sixteen_bit: bool) -> None:
    profile = PROFILE + noise(3_000_000).tobytes()
    path = png(tmp_path / "a.png", (b"iCCP", b"large\0\0" + zlib.compress(profile)), sixteen_bit=sixteen_bit)
    assert read_rgb(path).shape == (4, 6, 3)
    for suffix in (".png", ".jpg", ".tif", ".webp"):
        upscale_copy(path, tmp_path / f"b{suffix}")
        assert read_image(tmp_path / f"b{suffix}").metadata.icc == profile


@cache
def compressed_zeros() -> bytes:
    """512 MiB of zeros as a zlib stream."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(512)) + packer.flush()


@pytest.mark.parametrize("name", ["iTXt", "zTXt", "iCCP", "xmp", "exif", "many"])
def test_a_decompression_bomb_in_metadata_is_reported_and_uses_bounded_memory(tmp_path: Path, name: str) -> None:
    bomb = compressed_zeros()
    bombs = {
        "iTXt": [(b"iTXt", b"bomb\0\1\0\0\0" + bomb)],
        "zTXt": [(b"zTXt", b"bomb\0\0" + bomb)],
        "iCCP": [(b"iCCP", b"bomb\0\0" + bomb)],
        "xmp": [(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)],
        "exif": [(b"zTXt", b"Raw profile type exif\0\0" + bomb)],
        "many": [(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(2**24), 1))] * 20,
    }[name]
    path = png(tmp_path / "a.png", *bombs)
    tracemalloc.start()
    try:
        assert read_rgb(path).shape == (4, 6, 3)
        image = read_image(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_BYTES
    assert any("damaged or too large" in remark for remark in image.remarks)
    assert sum(len(content) for _, content in image.metadata.text) <= MAX_BYTES
    upscale_copy(path, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        image.load()


@pytest.mark.parametrize(
    "broken",
    [
        (b"zTXt", b"key\0\0no zlib"),
        (b"zTXt", b"key\0\7" + zlib.compress(b"text")),
        (b"iTXt", b"key\0\0\0"),
        (b"gAMA", b"\0"),
        (b"cHRM", b"\0" * 31),
        (b"sRGB", b""),
        (b"pHYs", b"\0"),
        (b"iCCP", b"name\0\0no zlib"),
        (b"iCCP", b"name\0"),
        (b"vpAg", b"\0" * 9),
    ],
)
@pytest.mark.parametrize("sixteen_bit", [False, True])
def test_damaged_and_unknown_chunks_are_dropped_and_the_image_is_read(
    tmp_path: Path, broken: tuple[bytes, bytes], sixteen_bit: bool
) -> None:
    path = png(tmp_path / "a.png", broken, (b"tEXt", b"Title\0A"), sixteen_bit=sixteen_bit)
    assert read_rgb(path).shape == (4, 6, 3)
    (remark,) = upscale_copy(path, tmp_path / "b.png")
    assert remark.startswith("lost its ")
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        assert image.info["Title"] == "A"
    assert not read_image(tmp_path / "b.png").remarks


def test_a_chunk_with_a_wrong_checksum_is_dropped_and_reported(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", (b"tEXt", b"Title\0A"))
    path.write_bytes(path.read_bytes().replace(b"Title\0A", b"Title\0B"))
    assert upscale_copy(path, tmp_path / "b.png") == ("lost its tEXt chunk, which is damaged or too large",)


def test_damaged_pixels_are_rejected(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", (b"tEXt", b"Title\0A"))
    path.write_bytes(path.read_bytes().replace(b"IDAT", b"IDAX"))
    with pytest.raises(BrokenImageError, match=r"a\.png cannot be read"):
        read_rgb(path)


@pytest.mark.parametrize("text", [b"transparency", b"exif", b"icc_profile", b"dpi", b"gamma", b"srgb"])
def test_texts_named_like_other_metadata_stay_texts(tmp_path: Path, text: bytes) -> None:
    """Pillow stores both in `info` under the same name."""
    path = png(tmp_path / "a.png", (b"tEXt", text + b"\0no such thing"))
    assert np.array_equal(read_image(path).samples, noise(4, 6, 3))
    assert not upscale_copy(path, tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").metadata.text == ((b"tEXt", text + b"\0no such thing"),)
    with Image.open(path) as image:
        raster = from_pillow(image)
    upscaled = to_pillow(raster.with_samples(raster.samples))
    assert text.decode() not in upscaled.info
    assert not upscaled.getexif()


@pytest.mark.parametrize("source", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("target", [".png", ".jpg", ".tif", ".webp"])
def test_a_rotated_image_is_rotated_once_for_every_pair_of_formats(tmp_path: Path, source: str, target: str) -> None:
    """Orientation and size are in XMP, which Pillow applies without EXIF. The two resolutions differ."""
    stored = b'<a tiff:Orientation="6" tiff:ImageWidth="6"><exif:PixelYDimension>4</exif:PixelYDimension></a>'
    upright = b'<a tiff:Orientation="1" tiff:ImageWidth="8"><exif:PixelYDimension>12</exif:PixelYDimension></a>'
    if source == ".png":
        density = (b"pHYs", struct.pack(">IIB", 11811, 5906, 1))
        png(tmp_path / "a.png", itxt(b"XML:com.adobe.xmp", stored), density)
    elif source == ".tif":
        write_image(RasterImage(noise(4, 6, 3), Metadata(xmp=stored, density=(300, 150))), tmp_path / "a.tif")
    else:
        Image.fromarray(noise(4, 6, 3)).save(tmp_path / f"a{source}", xmp=stored, dpi=(300, 150))
    assert read_rgb(tmp_path / f"a{source}").shape == (6, 4, 3)
    upscale_copy(tmp_path / f"a{source}", tmp_path / f"b{target}")
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.size == (8, 12)
        assert image.getexif().get(0x0112, 1) == 1
        assert image.info["xmp"] == upright
    if source != ".webp":
        assert read_image(tmp_path / f"b{target}").metadata.density == pytest.approx((150, 300), rel=1e-3)


def test_orientation_in_the_raw_exif_profile_of_imagemagick_is_applied(tmp_path: Path) -> None:
    digits = exif_of(6).tobytes().hex()
    path = png(
        tmp_path / "a.png", (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n40\n" + digits.encode()))
    )
    assert read_rgb(path).shape == (6, 4, 3)
    upscale_copy(path, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert (image.size, image.getexif()[0x010F], image.getexif()[0x0112]) == ((8, 12), "Maker", 1)


@pytest.mark.parametrize(("unit", "pixels"), [(1, (300, 150)), (2, (118, 59)), (0, (1, 1))])
def test_the_resolution_of_a_jpeg_is_read_in_its_unit(tmp_path: Path, unit: int, pixels: tuple[int, int]) -> None:
    Image.fromarray(noise(4, 6, 3)).save(tmp_path / "a.jpg", exif=exif_of())
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    offset = content.index(b"JFIF\0") + 7
    content[offset : offset + 5] = struct.pack(">BHH", unit, *pixels)
    (tmp_path / "a.jpg").write_bytes(content)
    expected = {1: (300, 150), 2: (118 * 2.54, 59 * 2.54), 0: None}[unit]
    assert read_image(tmp_path / "a.jpg").metadata.density == expected


def test_other_jpeg_metadata_is_dropped_and_reported(tmp_path: Path) -> None:
    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    Image.fromarray(noise(4, 6, 3)).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    extra = segment(0xED, b"Photoshop 3.0\0") + segment(0xEB, b"JP\0\1") + segment(0xE5, b"own")
    extra += segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40))
    (tmp_path / "a.jpg").write_bytes(content[:2] + extra + content[2:])
    remark = "lost its IPTC or Photoshop data, content credentials, APP5 segment, extended XMP"
    assert upscale_copy(tmp_path / "a.jpg", tmp_path / "b.jpg") == (remark,)


def test_other_tiff_metadata_is_dropped_and_reported(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 6, 3), photometric="rgb", extratags=[(33723, "B", 4, b"iptc", True)])
    assert "lost its IPTC" in upscale_copy(tmp_path / "a.tif", tmp_path / "b.tif")


def test_metadata_too_large_for_a_jpeg_is_reported_with_the_limit(tmp_path: Path) -> None:
    comment = comment_chunk(b"x" * 65534)
    too_large = Metadata(b"p" * 17_000_000, None, b"x" * 65503, (100_000, 100_000), (), (comment,))
    image = RasterImage(noise(4, 6, 3), too_large)
    adapted = FORMATS[".jpg"].adapt(image, 2, tmp_path / "a.jpg")
    limits = "colour profile of more than 16707345 bytes, XMP of more than 65502 bytes, resolution"
    assert adapted.remarks == (f'lost its {limits}, text "Comment", which .jpg doesn\'t support',)
    assert adapted.metadata == Metadata()
    fitting = Metadata(xmp=b"x" * 65502, density=(65535, 1), text=(comment_chunk(b"x" * 65533),))
    fitting_image = FORMATS[".jpg"].adapt(RasterImage(noise(4, 6, 3), fitting), 2, tmp_path / "a.jpg")
    assert not fitting_image.remarks
    write_image(fitting_image, tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").metadata == fitting


def test_many_dropped_texts_are_counted(tmp_path: Path) -> None:
    texts = tuple((b"tEXt", b"key %d\0text" % number) for number in range(9))
    remarks = FORMATS[".webp"].adapt(RasterImage(noise(4, 6, 3), Metadata(text=texts)), 2, tmp_path / "a.webp").remarks
    assert remarks == ('lost its text "key 0", text "key 1", text "key 2", 6 more texts, which .webp doesn\'t support',)


def test_the_colour_profile_of_a_bmp_is_read(tmp_path: Path) -> None:
    pixels = noise(4, 8, 3)
    header = struct.pack("<IiiHHIIiiII", 124, 8, 4, 1, 24, 0, 96, 11811, 11811, 0, 0)
    header += bytes(16) + b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + 96, len(PROFILE), 0)
    assert len(header) == 124
    file = struct.pack("<2sIHHI", b"BM", 14 + 124 + 96 + len(PROFILE), 0, 0, 138)
    (tmp_path / "a.bmp").write_bytes(file + header + pixels[::-1, :, ::-1].tobytes() + PROFILE)
    image = read_image(tmp_path / "a.bmp")
    assert np.array_equal(image.samples, pixels)
    assert (image.metadata.icc, image.metadata.density) == (PROFILE, (300, 300))


def test_a_file_with_many_chunks_is_read_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upnet.imaging.png_chunks._MAX_CHUNKS", 5)
    path = png(tmp_path / "a.png", *[(b"tEXt", b"k\0v")] * 20)
    assert len(find_chunks(io.BytesIO(path.read_bytes()))) == 5
    assert np.array_equal(read_rgb(path), noise(4, 6, 3))


def test_a_pillow_image_keeps_its_metadata_in_info(tmp_path: Path) -> None:
    path = png(
        tmp_path / "a.png", (b"gAMA", GAMMA), (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)), (b"tEXt", b"Title\0A")
    )
    with Image.open(path) as image:
        info = to_pillow(from_pillow(image)).info
    assert (info["gamma"], info["Title"]) == (1.0, "A")
    assert info["dpi"] == pytest.approx((300, 300), rel=1e-5)
    Image.fromarray(noise(4, 6, 3)).save(tmp_path / "b.jpg", comment=b"C", dpi=(72, 72))
    with Image.open(tmp_path / "b.jpg") as image:
        info = to_pillow(from_pillow(image)).info
    assert (info["comment"], info["dpi"]) == (b"C", (72, 72))
