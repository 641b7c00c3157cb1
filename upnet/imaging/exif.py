"""Update EXIF and XMP of an image that was rotated upright and upscaled: new orientation and size, the rest is kept.

CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif Version 2.32", 2019,
https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf
Adobe, "XMP Specification, Part 2: Additional Properties", 2016,
https://github.com/adobe/xmp-docs/tree/master/XMPSpecifications
"""

import io
import re
import struct

from upnet.imaging.ifd import (
    EXIF_IFD,
    LONG,
    ORIENTATION,
    RATIONAL,
    RESOLUTION,
    RESOLUTION_UNIT,
    SHORT,
    DamagedTagsError,
    Tags,
    read_tags,
)

EXIF_PREFIX = b"Exif\0\0"
"""Precedes an EXIF block in JPEG, and in Pillow's `info`."""
_NO_UNIT = 1
_SIZE, _EXIF_SIZE = (0x0100, 0x0101), (0xA002, 0xA003)  # width, height
_XMP_ORIENTATION = (rb"tiff:Orientation",)
_XMP_SIZE = ((rb"tiff:ImageWidth", rb"exif:PixelXDimension"), (rb"tiff:ImageLength", rb"exif:PixelYDimension"))

# Tags that describe how the TIFF stores its pixels, and metadata that contains offsets into its own file.
_STORAGE_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291}
    | {292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341}
    | {342, 343, 344, 345, 346, 347, *range(512, 522), 529, 530, 531, 532, 700, 33723, 34377, 34675, 37724, 50341}
)


def strip_prefix(block: bytes | None) -> bytes | None:
    """An EXIF block without the `Exif` prefix; None for an empty one.

    >>> strip_prefix(b"Exif\\0\\0II*"), strip_prefix(b"")
    (b'II*', None)
    """
    while block and block.startswith(EXIF_PREFIX):
        block = block.removeprefix(EXIF_PREFIX)
    return block or None


def tags_to_exif(tags: Tags) -> bytes:
    """An EXIF block as JPEG, PNG and WebP store it: a TIFF header, then the tags.

    >>> read_tags(io.BytesIO(tags_to_exif(Tags("<")))).values
    {}
    """
    return tiff_header(tags.order, 8) + tags.to_bytes(8)


def tiff_header(order: str, first_directory: int) -> bytes:
    """The first 8 bytes of a TIFF file or an EXIF block.

    order: "<" little-endian, ">" big-endian. first_directory: offset of the first directory.

    >>> tiff_header("<", 8)
    b'II*\\x00\\x08\\x00\\x00\\x00'
    """
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first_directory)


def tiff_to_exif(tags: Tags) -> bytes | None:
    """The tags of a TIFF that describe the image, without those on storage, as an EXIF block; None without any.

    >>> tiff_to_exif(Tags("<")) is None
    True
    """
    values = {tag: value for tag, value in tags.values.items() if tag not in _STORAGE_TAGS}
    if tags.integer(RESOLUTION_UNIT) == _NO_UNIT:  # TIFF requires these tags even where the resolution is unknown
        values = {tag: value for tag, value in values.items() if tag not in (*RESOLUTION, RESOLUTION_UNIT)}
    if not values and not tags.children:
        return None
    return tags_to_exif(Tags(tags.order, values, tags.children))


def exif_to_tiff(exif: bytes) -> Tags:
    """The tags of an EXIF block that a TIFF may contain. Raises DamagedTagsError for a damaged block.

    >>> exif_to_tiff(tags_to_exif(Tags(">"))).order
    '>'
    """
    tags = read_tags(io.BytesIO(exif))
    tags.values = {tag: value for tag, value in tags.values.items() if tag not in _STORAGE_TAGS}
    return tags


def upscaled_exif(exif: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """The EXIF block of the upscaled image: orientation 1 and the new size; all other bytes stay the same.

    before, after: width and height of the upright image in pixels.

    Values are overwritten in place, so that offsets inside maker notes stay valid. If the orientation changes, the
    thumbnail is removed from the directory, because it isn't upright. Raises DamagedTagsError for a damaged block.

    >>> tags = Tags("<")
    >>> tags.set(ORIENTATION, SHORT, 6)
    >>> read_tags(io.BytesIO(upscaled_exif(tags_to_exif(tags), (4, 6), (8, 12)))).integer(ORIENTATION)
    1
    """
    tags = read_tags(io.BytesIO(exif))
    content = bytearray(exif)
    if tags.integer(ORIENTATION) not in (None, 1):
        _overwrite(content, tags, ORIENTATION, 1)
        if tags.next_offset + 4 <= len(content):
            struct.pack_into("4x", content, tags.next_offset)
    directories = [(tags, _SIZE)]
    if EXIF_IFD in tags.children:
        directories.append((tags.children[EXIF_IFD], _EXIF_SIZE))
    for directory, (width, height) in directories:
        if (directory.integer(width), directory.integer(height)) in (before, before[::-1]):
            _overwrite(content, directory, width, after[0])
            _overwrite(content, directory, height, after[1])
    return bytes(content)


def swap_resolution(exif: bytes) -> bytes:
    """The EXIF block with horizontal and vertical resolution exchanged; a damaged block is returned unchanged.

    >>> swap_resolution(b"damaged")
    b'damaged'
    """
    try:
        tags = read_tags(io.BytesIO(exif))
    except DamagedTagsError:
        return exif
    content = bytearray(exif)
    values = [tags.values.get(tag) for tag in RESOLUTION]
    for value, other in zip(values, reversed(values), strict=True):
        if value and other and value.kind == other.kind == RATIONAL and len(value.content) == len(other.content):
            content[value.offset : value.offset + len(value.content)] = other.content
    return bytes(content)


def xmp_orientation(xmp: bytes) -> int | None:
    """The orientation in an XMP packet, numbered as in EXIF; None without one.

    >>> xmp_orientation(b'<rdf:Description tiff:Orientation="6"/>')
    6
    """
    return _xmp_number(xmp, _XMP_ORIENTATION)


def upscaled_xmp(xmp: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """The XMP packet of the upscaled image: orientation 1 and the new size.

    before, after: width and height of the upright image in pixels. A packet with another size keeps it.

    >>> upscaled_xmp(b'<a tiff:Orientation="6" tiff:ImageWidth="6" tiff:ImageLength="4"/>', (4, 6), (8, 12))
    b'<a tiff:Orientation="1" tiff:ImageWidth="8" tiff:ImageLength="12"/>'
    """
    size = tuple(_xmp_number(xmp, names) for names in _XMP_SIZE)
    xmp = _set_xmp(xmp, _XMP_ORIENTATION, 1)
    if size in (before, before[::-1]):
        for names, pixels in zip(_XMP_SIZE, after, strict=True):
            xmp = _set_xmp(xmp, names, pixels)
    return xmp


def _overwrite(content: bytearray, tags: Tags, tag: int, number: int) -> None:
    value = tags.values[tag]
    if value.kind == SHORT and number < 2**16:
        struct.pack_into(tags.order + "H", content, value.offset, number)
    elif value.kind == LONG:
        struct.pack_into(tags.order + "I", content, value.offset, number)


def _xmp_number(xmp: bytes, names: tuple[bytes, ...]) -> int | None:
    """The number of the first of these properties that the packet has."""
    matches = (_xmp_pattern(name).search(xmp) for name in names)
    return next((int(match[2]) for match in matches if match), None)


def _set_xmp(xmp: bytes, names: tuple[bytes, ...], number: int) -> bytes:
    for name in names:
        xmp = _xmp_pattern(name).sub(lambda match: match[1] + b"%d" % number, xmp)
    return xmp


def _xmp_pattern(name: bytes) -> re.Pattern[bytes]:
    """A property as an XML attribute or an XML element."""
    return re.compile(rb"(" + name + rb"(?:\s*=\s*[\"']|>)\s*)(\d{1,9})")
