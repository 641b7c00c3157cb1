"""The tags of TIFF, which EXIF uses as well: read, changed in place, and written, without touching their values.

A directory is a list of entries (tag, type, count, value). Some values point to further directories: those of EXIF, GPS
and interoperability. "TIFF, Revision 6.0", 1992, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf.
"""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

BYTE, SHORT, LONG, RATIONAL, UNDEFINED = 1, 3, 4, 5, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CLASSIC = 13
"""Types above it exist in BigTIFF only."""
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
_MOST = 2**26
"""Bytes of values in one directory; more than that is an attack, or damage."""


class DamagedTagsError(ValueError):
    """What stands there is no directory of tags."""


@dataclass(frozen=True, slots=True)
class Value:
    """One tag's value.

    kind:    its type, as TIFF numbers them.
    content: its bytes, in the byte order of the whole.
    place:   where those bytes stood.
    """

    kind: int
    content: bytes
    place: int = 0


@dataclass(slots=True)
class Tags:
    """A directory.

    order:    "<" little-endian, ">" big-endian.
    values:   tag -> value.
    children: tag -> the directory it points to.
    link:     where the offset of the next directory stood.
    """

    order: str
    values: dict[int, Value] = field(default_factory=dict)
    children: dict[int, "Tags"] = field(default_factory=dict)
    link: int = 0

    def number(self, tag: int) -> int | None:
        """The first number of a tag that holds whole numbers; None where it doesn't, or isn't there."""
        value = self.values.get(tag)
        code = {SHORT: "H", LONG: "I"}.get(value.kind) if value else None
        return struct.unpack_from(self.order + code, value.content)[0] if value and code and value.content else None

    def ratio(self, tag: int) -> float | None:
        """The number of a tag that holds a ratio; None where it doesn't, or its denominator is 0."""
        value = self.values.get(tag)
        if value is None or value.kind != RATIONAL or len(value.content) < 8:
            return None
        numerator, denominator = struct.unpack_from(self.order + "2I", value.content)
        return numerator / denominator if denominator else None

    def put(self, tag: int, kind: int, *numbers: int) -> None:
        """Set a tag to numbers: shorts, longs, or numerators and denominators."""
        code = "H" if kind == SHORT else "I"
        self.values[tag] = Value(kind, struct.pack(f"{self.order}{len(numbers)}{code}", *numbers))

    def tobytes(self, start: int) -> bytes:
        """The directory, and all that belongs to it, as it stands `start` bytes behind the beginning."""
        tags = sorted({*self.values, *self.children})
        entries, behind = b"", b""
        end = start + 2 + 12 * len(tags) + 4
        for tag in tags:
            child = self.children.get(tag)
            content = child.tobytes(end + len(behind)) if child else self.values[tag].content
            kind = LONG if child else self.values[tag].kind
            count = 1 if child else len(content) // _SIZES[kind]
            if child or len(content) > 4:
                where = struct.pack(self.order + "I", end + len(behind))
                behind += content + b"\0" * (len(content) % 2)
            else:
                where = content.ljust(4, b"\0")
            entries += struct.pack(self.order + "HHI", tag, kind, count) + where
        return struct.pack(self.order + "H", len(tags)) + entries + bytes(4) + behind


def read_tags(file: BinaryIO) -> Tags:
    """The first directory of a TIFF, a BigTIFF or a block of EXIF, with those it points to.

    Values of unknown types and those that stand outside the file are left out. Raises DamagedTagsError where there is
    no directory.
    """
    file.seek(0)
    order = {b"II": "<", b"MM": ">"}.get(file.read(2))
    if order is None:
        raise DamagedTagsError("it has no byte order")
    (version,) = _unpack(file, order + "H")
    if version not in (42, 43):
        raise DamagedTagsError(f"its version is {version} instead of 42 or 43")
    large = version == 43
    (start,) = _unpack(file, order + "4xQ") if large else _unpack(file, order + "I")
    return _directory(file, order, large, start, depth=0)


def _directory(file: BinaryIO, order: str, large: bool, start: int, depth: int) -> Tags:
    file.seek(start)
    (length,) = _unpack(file, order + ("Q" if large else "H"))
    if length > 2**16:
        raise DamagedTagsError(f"it claims to have {length} entries")
    tags = Tags(order)
    step, inline = (20, 8) if large else (12, 4)
    first, total = file.tell(), 0
    for place in range(first, first + length * step, step):
        file.seek(place)
        tag, kind, count = _unpack(file, order + ("HHQ" if large else "HHI"))
        size = _SIZES.get(kind, 0) * count
        place = file.tell()
        if size > inline:
            (place,) = _unpack(file, order + ("Q" if large else "I"))
        total += size
        if total > _MOST:
            raise DamagedTagsError(f"its values take more than {_MOST} bytes")
        if size == 0:
            continue
        file.seek(place)
        content = file.read(size)
        if len(content) == size:
            tags.values[tag] = Value(kind, content, place)
    tags.link = first + length * step
    for tag in (EXIF, GPS, INTEROPERABILITY):
        if (offset := tags.number(tag)) is not None and depth < 2:
            del tags.values[tag]
            try:
                tags.children[tag] = _directory(file, order, large, offset, depth + 1)
            except DamagedTagsError:
                continue
    for tag in [tag for tag, value in tags.values.items() if value.kind > _CLASSIC]:
        del tags.values[tag]
    return tags


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    content = file.read(struct.calcsize(layout))
    if len(content) < struct.calcsize(layout):
        raise DamagedTagsError("it is cut short")
    return struct.unpack(layout, content)
