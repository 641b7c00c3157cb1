"""Read, change and write image file directories (IFD), the tag lists of TIFF and EXIF, without decoding values.

A directory is a list of entries (tag, type, count, value). Some values point to further directories: EXIF, GPS and
interoperability. Values stay raw bytes. Pillow and tifffile would encode them again and lose text that isn't ASCII
and the offsets inside maker notes.

Adobe, "TIFF, Revision 6.0", 1992, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

BYTE, SHORT, LONG, RATIONAL = 1, 3, 4, 5
_ITEM_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LAST_CLASSIC_TYPE = 13
"""Larger type numbers exist in BigTIFF only."""
EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
ORIENTATION, RESOLUTION, RESOLUTION_UNIT = 0x0112, (282, 283), 296
_MAX_BYTES = 2**26
"""Limit for the values of one directory: a larger one is damaged, or made to exhaust memory."""


class DamagedTagsError(ValueError):
    """The bytes are not a TIFF or EXIF directory."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of one tag, undecoded.

    kind:    type number of TIFF.
    content: raw bytes, in the byte order of the directory.
    offset:  offset of these bytes in the file.
    """

    kind: int
    content: bytes
    offset: int = 0


@dataclass(slots=True)
class Tags:
    """One directory.

    order:       "<" little-endian, ">" big-endian.
    values:      tag -> value.
    children:    tag -> the directory that it points to.
    next_offset: where the file stores the offset of the next directory (in EXIF: the thumbnail).

    >>> tags = Tags("<")
    >>> tags.set(RESOLUTION_UNIT, SHORT, 2)
    >>> tags.integer(RESOLUTION_UNIT)
    2
    """

    order: str
    values: dict[int, Value] = field(default_factory=dict)
    children: dict[int, "Tags"] = field(default_factory=dict)
    next_offset: int = 0

    def integer(self, tag: int) -> int | None:
        """The first number of a SHORT or LONG tag; None without one."""
        value = self.values.get(tag)
        code = {SHORT: "H", LONG: "I"}.get(value.kind) if value else None
        return struct.unpack_from(self.order + code, value.content)[0] if value and code and value.content else None

    def ratio(self, tag: int) -> float | None:
        """The first number of a RATIONAL tag; None without one, or where its denominator is 0."""
        value = self.values.get(tag)
        if value is None or value.kind != RATIONAL or len(value.content) < 8:
            return None
        numerator, denominator = struct.unpack_from(self.order + "2I", value.content)
        return numerator / denominator if denominator else None

    def set(self, tag: int, kind: int, *numbers: int) -> None:
        """Set a SHORT, LONG or RATIONAL tag. A RATIONAL has two numbers: numerator and denominator."""
        code = "H" if kind == SHORT else "I"
        self.values[tag] = Value(kind, struct.pack(f"{self.order}{len(numbers)}{code}", *numbers))

    def to_bytes(self, start: int) -> bytes:
        """The directory with its children and values, encoded for offset `start` of a file."""
        tags = sorted({*self.values, *self.children})
        entries, payload = b"", b""
        payload_start = start + 2 + 12 * len(tags) + 4
        for tag in tags:
            child = self.children.get(tag)
            content = child.to_bytes(payload_start + len(payload)) if child else self.values[tag].content
            kind = LONG if child else self.values[tag].kind
            count = 1 if child else len(content) // _ITEM_SIZES[kind]
            if child or len(content) > 4:
                field_bytes = struct.pack(self.order + "I", payload_start + len(payload))
                payload += content + b"\0" * (len(content) % 2)
            else:
                field_bytes = content.ljust(4, b"\0")
            entries += struct.pack(self.order + "HHI", tag, kind, count) + field_bytes
        return struct.pack(self.order + "H", len(tags)) + entries + bytes(4) + payload


def read_tags(file: BinaryIO) -> Tags:
    """Read the first directory of a TIFF, a BigTIFF or an EXIF block, with the directories that it points to.

    Values of unknown types, and values outside the file, are omitted. Raises DamagedTagsError where there is no
    directory.

    >>> import io
    >>> tags = Tags(">")
    >>> tags.set(RESOLUTION_UNIT, SHORT, 2)
    >>> read_tags(io.BytesIO(b"MM\\0*\\0\\0\\0\\x08" + tags.to_bytes(8))).integer(RESOLUTION_UNIT)
    2
    """
    file.seek(0)
    order = {b"II": "<", b"MM": ">"}.get(file.read(2))
    if order is None:
        raise DamagedTagsError("it doesn't begin with a byte order")
    (version,) = _unpack(file, order + "H")
    if version not in (42, 43):
        raise DamagedTagsError(f"its version is {version} instead of 42 or 43")
    bigtiff = version == 43
    (start,) = _unpack(file, order + "4xQ") if bigtiff else _unpack(file, order + "I")
    return _directory(file, order, bigtiff, start, depth=0)


def _directory(file: BinaryIO, order: str, bigtiff: bool, start: int, depth: int) -> Tags:
    file.seek(start)
    (length,) = _unpack(file, order + ("Q" if bigtiff else "H"))
    if length > 2**16:
        raise DamagedTagsError(f"it claims to have {length} entries")
    tags = Tags(order)
    entry_size, inline_size = (20, 8) if bigtiff else (12, 4)
    first, total = file.tell(), 0
    for entry_offset in range(first, first + length * entry_size, entry_size):
        file.seek(entry_offset)
        tag, kind, count = _unpack(file, order + ("HHQ" if bigtiff else "HHI"))
        size = _ITEM_SIZES.get(kind, 0) * count
        offset = file.tell()
        if size > inline_size:
            (offset,) = _unpack(file, order + ("Q" if bigtiff else "I"))
        total += size
        if total > _MAX_BYTES:
            raise DamagedTagsError(f"its values take more than {_MAX_BYTES} bytes")
        if size == 0:
            continue
        file.seek(offset)
        content = file.read(size)
        if len(content) == size:
            tags.values[tag] = Value(kind, content, offset)
    tags.next_offset = first + length * entry_size
    for tag in (EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD):
        if (offset := tags.integer(tag)) is not None and depth < 2:
            del tags.values[tag]
            try:
                tags.children[tag] = _directory(file, order, bigtiff, offset, depth + 1)
            except DamagedTagsError:
                continue
    tags.values = {tag: value for tag, value in tags.values.items() if value.kind <= _LAST_CLASSIC_TYPE}
    return tags


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    content = file.read(struct.calcsize(layout))
    if len(content) < struct.calcsize(layout):
        raise DamagedTagsError("it is truncated")
    return struct.unpack(layout, content)
