"""EXIF is kept byte for byte, except for the orientation, the image size and a thumbnail of a rotated image."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from upnet.imaging import exif
from upnet.imaging.ifd import DamagedTagsError, read_tags


def exif_block(orientation: int | None, order: str = "II", size: tuple[int, int] = (40, 30)) -> bytes:
    """EXIF written by Pillow: maker, copyright, orientation, image size and GPS position."""
    tags = Image.Exif()
    tags.endian = "<" if order == "II" else ">"
    tags[0x010F] = "Maker"
    tags[0x8298] = "© somebody"
    if orientation is not None:
        tags[0x0112] = orientation
    tags[0x8769] = {0x9003: "2024:02:29 12:00:00", 0xA002: size[0], 0xA003: size[1], 0x927C: b"maker's own \0\1\2"}
    tags[0x8825] = {1: "N", 2: (48.0, 12.0, 30.5)}
    return tags.tobytes().removeprefix(b"Exif\0\0")


def tags_by_pillow(content: bytes) -> dict[int, object]:
    """All tags that Pillow reads, including those of the Exif and GPS directories."""
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + content)
    flat: dict[int, object] = {tag: value for tag, value in tags.items() if tag not in (0x8769, 0x8825)}
    return flat | dict(tags.get_ifd(0x8769)) | {(0x8825 << 16) + tag: v for tag, v in tags.get_ifd(0x8825).items()}


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
def test_only_orientation_and_size_change(order: str, orientation: int | None) -> None:
    before = exif_block(orientation, order)
    after = exif.upscaled_exif(before, (30, 40), (60, 80))
    expected = tags_by_pillow(before) | {0xA002: 60, 0xA003: 80} | ({0x0112: 1} if orientation else {})
    assert tags_by_pillow(after) == expected
    assert len(after) == len(before)
    changed = [offset for offset, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    assert len(changed) <= 3


def test_a_size_other_than_the_image_size_is_kept() -> None:
    before = exif_block(1, size=(4000, 3000))
    assert exif.upscaled_exif(before, (40, 30), (80, 60)) == before


def test_the_thumbnail_of_a_rotated_image_is_unlinked() -> None:
    base = exif_block(6)
    (count,) = struct.unpack_from("<H", base, 8)
    link = 10 + 12 * count
    rotated = base[:link] + struct.pack("<I", len(base)) + base[link + 4 :] + struct.pack("<HI", 0, 0)
    assert struct.unpack_from("<I", exif.upscaled_exif(rotated, (30, 40), (60, 80)), link) == (0,)
    upright = rotated.replace(struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0), struct.pack("<HHIHH", 0x0112, 3, 1, 1, 0))
    assert struct.unpack_from("<I", exif.upscaled_exif(upright, (30, 40), (60, 80)), link) == (len(base),)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_rewritten_tags_are_equal_in_pillow(order: str) -> None:
    content = exif_block(3, order)
    tags = read_tags(io.BytesIO(content))
    assert tags_by_pillow(exif.tags_to_exif(tags)) == tags_by_pillow(content)
    assert read_tags(io.BytesIO(exif.tags_to_exif(tags))).values.keys() == tags.values.keys()


def test_exif_from_a_tiff_omits_tags_of_the_storage_layout(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x010F] = "Maker"
    tags[0x8769] = {0x9003: "2024:02:29 12:00:00"}
    Image.new("RGB", (9, 7)).save(tmp_path / "a.tif", tiffinfo=tags, dpi=(300, 300))
    with (tmp_path / "a.tif").open("rb") as file:
        content = exif.tiff_to_exif(read_tags(file))
    assert content is not None
    tags_found = tags_by_pillow(content)
    assert tags_found.pop(0x010F) == "Maker"
    assert tags_found.pop(0x9003) == "2024:02:29 12:00:00"
    assert tags_found.keys() == {282, 283, 296}  # the resolution


def test_bigtiff_tags_are_read() -> None:
    entry = struct.pack("<HHQ8s", 0x0112, 3, 1, struct.pack("<H", 6))
    content = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + struct.pack("<Q", 1) + entry + bytes(8)
    assert read_tags(io.BytesIO(content)).integer(0x0112) == 6


@pytest.mark.parametrize("content", [b"", b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\0\0\0", b"II*\0\x08\0\0\0\xff\xff"])
def test_content_without_a_valid_directory_is_rejected(content: bytes) -> None:
    with pytest.raises(DamagedTagsError):
        exif.upscaled_exif(content, (1, 1), (2, 2))


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_damaged_exif_is_rejected_or_keeps_its_length(noise: bytes, seed: int) -> None:
    content = bytearray(exif_block(6))
    for number, byte in enumerate(noise):
        content[(seed * (number + 1)) % len(content)] = byte
    with suppress(DamagedTagsError):
        assert len(exif.upscaled_exif(bytes(content), (30, 40), (60, 80))) == len(content)
