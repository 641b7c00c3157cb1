"""The chunks of a PNG file: where they are, what they hold, and the file without its metadata.

Pillow refuses a whole image because of one text that is damaged, or that unpacks to more than 1 MB. So it gets only the
chunks that the pixels depend on, and metadata is read here, with a limit on memory and without refusing the image.

"Portable Network Graphics (PNG) Specification (Third Edition)", 2025, https://www.w3.org/TR/png-3/.
"""

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 2**26
"""Bytes that one piece of metadata may have, also unpacked; more is damage, or an attack on memory."""
TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
XMP, RAW_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
"""Keywords of texts that hold other metadata: XMP, and the EXIF of older ImageMagick in hexadecimal digits."""
_MANY = 2**18
"""Chunks that are looked at; libpng writes one for every 8 KB of packed pixels."""
_PIXELS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})
"""Chunks that may be ignored by the letter of their names, and that pixels depend on: transparency, frames."""


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk in a file.

    name:   four letters.
    start:  offset of its content.
    length: bytes of its content, as the file claims.
    """

    name: bytes
    start: int
    length: int

    @property
    def metadata(self) -> bool:
        """Whether the pixels don't depend on it."""
        return self.name[:1].islower() and self.name not in _PIXELS


def find_chunks(file: BinaryIO) -> list[Place]:
    """The chunks of a PNG up to its end, or up to what is no chunk; none of other files."""
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return []
    found: list[Place] = []
    while len(found) < _MANY and len(head := file.read(8)) == 8 and head[4:].isalpha():
        place = Place(head[4:], file.tell(), int.from_bytes(head[:4], "big"))
        found.append(place)
        if place.name == b"IEND":
            break
        file.seek(place.start + place.length + 4)
    return found


def read_chunk(file: BinaryIO, place: Place) -> bytes | None:
    """The content of a chunk; None where it is damaged, or has more than MOST bytes."""
    if place.length > MOST:
        return None
    file.seek(place.start)
    content, check = file.read(place.length), file.read(4)
    return content if check == struct.pack(">I", zlib.crc32(content, zlib.crc32(place.name))) else None


def keyword(content: bytes) -> bytes:
    """Of a text chunk, or the name of a colour profile."""
    return content.partition(b"\0")[0]


def text_value(name: bytes, content: bytes) -> bytes | None:
    """The text of a tEXt, zTXt or iTXt chunk: Latin-1, or of iTXt UTF-8. None where it is damaged or unpacks to more
    than MOST bytes."""
    _, _, rest = content.partition(b"\0")
    if name == b"tEXt":
        return rest
    if name == b"zTXt":
        return unpack(rest[1:]) if rest[:1] == b"\0" else None
    packed, parts = rest[:1] != b"\0", rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    return unpack(parts[2]) if packed else parts[2]


def unpack(content: bytes) -> bytes | None:
    """zlib's stream, unpacked; None where it is damaged or unpacks to more than MOST bytes."""
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(content, MOST)
    except zlib.error:
        return None
    return None if stream.unconsumed_tail else unpacked


@contextmanager
def pixels_of(path: Path) -> Iterator[Path | BinaryIO]:
    """What Pillow is to open: a PNG without its metadata; any other file as it is."""
    with path.open("rb") as file:
        hidden = [place for place in find_chunks(file) if place.metadata]
        if not hidden:
            yield path
            return
        ends = [0, *(place.start + place.length + 4 for place in hidden)]
        size = file.seek(0, io.SEEK_END)
        parts = zip(ends, [*(place.start - 8 for place in hidden), size], strict=True)
        with io.BufferedReader(_Parts(file, [(start, stop) for start, stop in parts if start < stop]), 2**16) as rest:
            yield rest


def orientation_info(path: Path) -> dict[str, Any]:
    """Of a PNG, the metadata that `PIL.Image.Image.getexif` looks for an orientation in, as Pillow names it."""
    info: dict[str, Any] = {}
    with path.open("rb") as file:
        for place in find_chunks(file):
            if place.name != b"eXIf" and place.name not in TEXT:
                continue
            content = read_chunk(file, place)
            if content is None:
                continue
            if place.name == b"eXIf":
                info["exif"] = b"Exif\0\0" + content
            elif keyword(content) in (XMP, RAW_EXIF) and (value := text_value(place.name, content)) is not None:
                name, told = ("xmp", value) if keyword(content) == XMP else (RAW_EXIF.decode(), value.decode("latin-1"))
                info[name] = told
    return info


class _Parts(io.RawIOBase):
    """Parts of a file, read as one file."""

    def __init__(self, file: BinaryIO, parts: Sequence[tuple[int, int]]) -> None:
        """parts: (start, stop) offsets, in order."""
        super().__init__()
        self._file = file
        self._parts = parts
        self._starts = [0]
        for start, stop in parts:
            self._starts.append(self._starts[-1] + stop - start)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._starts[-1]}[whence])
        return self._place

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._starts, self._place) - 1
        if number >= len(self._parts):
            return 0
        start, stop = self._parts[number]
        place = start + self._place - self._starts[number]
        self._file.seek(place)
        content = self._file.read(min(len(buffer), stop - place))
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
