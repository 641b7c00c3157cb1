"""What a camera wrote beside the pixels, made true for a larger picture that stands upright."""

import io
import struct
from collections.abc import Iterator

from upnet.imaging.tiff_tags import EXIF, LONG, RATIONAL, SHORT, DamagedTagsError, Tags, read_tags

_ORIENTATION = 0x0112
_RESOLUTION, _UNIT, _NO_UNIT = (282, 283), 296, 1
_SIZE, _EXIF_SIZE = (0x0100, 0x0101), (0xA002, 0xA003)  # width, height

# How a TIFF stores its pixels, which says nothing of those of another file, and metadata with offsets of their own.
_STRUCTURE = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291}
    | {292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341}
    | {342, 343, 344, 345, 346, 347, *range(512, 522), 529, 530, 531, 532, 700, 33723, 34377, 34675, 37724, 50341}
)


def of_tiff(tags: Tags) -> bytes | None:
    """The tags of a TIFF that describe the picture and not how it is stored, as a block of EXIF; None without any."""
    told = {tag: value for tag, value in tags.values.items() if tag not in _STRUCTURE}
    if tags.number(_UNIT) == _NO_UNIT:  # a TIFF has these tags even if its resolution isn't known
        told = {tag: value for tag, value in told.items() if tag not in (*_RESOLUTION, _UNIT)}
    if not told and not tags.children:
        return None
    return block(Tags(tags.order, told, tags.children))


def to_tiff(exif: bytes) -> Tags:
    """A block of EXIF as tags for a TIFF. Raises DamagedTagsError where it is none."""
    tags = read_tags(io.BytesIO(exif))
    return Tags(tags.order, {tag: value for tag, value in tags.values.items() if tag not in _STRUCTURE}, tags.children)


def block(tags: Tags) -> bytes:
    """The tags behind a header, as JPEG, PNG and WebP carry them."""
    return (b"II" if tags.order == "<" else b"MM") + struct.pack(tags.order + "HI", 42, 8) + tags.tobytes(8)


def enlarged(exif: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """The block of EXIF for the larger picture: upright, with its new size, and everything else byte for byte.

    before, after: width and height, upright. Where the picture was turned its thumbnail, which wasn't, is unlinked.
    Values are changed where they stand, so that the offsets in makers' notes stay right.
    Raises DamagedTagsError where it is no EXIF.
    """
    tags = read_tags(io.BytesIO(exif))
    content = bytearray(exif)
    turned = tags.number(_ORIENTATION) not in (None, 1)
    if turned:
        _set(content, tags, _ORIENTATION, 1)
        if tags.link + 4 <= len(content):
            struct.pack_into("4x", content, tags.link)
    for directory, (width, height) in _sizes(tags):
        told = (directory.number(width), directory.number(height))
        if told in (before, before[::-1]):
            _set(content, directory, width, after[0])
            _set(content, directory, height, after[1])
    return bytes(content)


def turned(exif: bytes) -> bytes:
    """The block of EXIF with its horizontal and vertical resolution exchanged; as it is where it is damaged."""
    try:
        tags = read_tags(io.BytesIO(exif))
    except DamagedTagsError:
        return exif
    content = bytearray(exif)
    values = [tags.values.get(tag) for tag in _RESOLUTION]
    for value, other in zip(values, reversed(values), strict=True):
        if value and other and value.kind == other.kind == RATIONAL and len(value.content) == len(other.content):
            content[value.place : value.place + len(value.content)] = other.content
    return bytes(content)


def _sizes(tags: Tags) -> Iterator[tuple[Tags, tuple[int, int]]]:
    yield tags, _SIZE
    if EXIF in tags.children:
        yield tags.children[EXIF], _EXIF_SIZE


def _set(content: bytearray, tags: Tags, tag: int, number: int) -> None:
    value = tags.values[tag]
    if value.kind == SHORT and number < 2**16:
        struct.pack_into(tags.order + "H", content, value.place, number)
    elif value.kind == LONG:
        struct.pack_into(tags.order + "I", content, value.place, number)


__all__ = ["DamagedTagsError", "block", "enlarged", "of_tiff", "to_tiff", "turned"]
