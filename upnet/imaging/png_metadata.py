"""Read the metadata of a PNG file, with a limit on memory, and convert metadata to PNG chunks.

W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025, https://www.w3.org/TR/png-3/
"""

import struct
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from upnet.imaging.density import density_of_exif, per_metre_to_inch, valid_density
from upnet.imaging.exif import strip_prefix
from upnet.imaging.image import Chunk, Metadata
from upnet.imaging.png_chunks import (
    MAX_BYTES,
    RAW_EXIF,
    TEXT,
    XMP,
    ChunkLocation,
    decompress,
    find_chunks,
    keyword,
    read_chunk,
    text_value,
)

COMMENT = b"Comment"
"""Keyword for the comment of a JPEG or GIF."""
_COLOUR = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_MAX_COMPRESSED = 2**20
"""Larger texts are stored uncompressed, because Pillow rejects files in which they are compressed."""
# They describe the pixels of the source file only: significant bits, histogram, time of the last change, storage.
_OUTDATED = frozenset({b"sBIT", b"hIST", b"tIME", b"iDOT"})


def read_png_metadata(path: Path) -> Metadata:
    """Metadata of a PNG file, in the orientation of the stored pixels.

    Chunks that are damaged or too large are named in `lost`.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (3, 2)).save(f"{folder}/grey.png", dpi=(300, 300))
    ...     read_png_metadata(Path(folder, "grey.png")).density
    (300.0, 300.0)
    """
    reader = _MetadataReader()
    with path.open("rb") as file:
        for chunk in find_chunks(file):
            if chunk.is_metadata and chunk.name not in _OUTDATED:
                reader.add(file, chunk)
    metadata = reader.metadata
    if metadata.icc:  # PNG allows either a profile or an sRGB chunk
        metadata = replace(metadata, colour=tuple(chunk for chunk in metadata.colour if chunk[0] != b"sRGB"))
    density = metadata.density or density_of_exif(metadata.exif)
    return replace(metadata, density=density, lost=tuple(dict.fromkeys(metadata.lost)))


def metadata_chunks(metadata: Metadata) -> list[Chunk]:
    """All metadata as chunks, in an order that PNG allows; they precede the pixels.

    >>> metadata_chunks(Metadata(colour=((b"sRGB", b"\\0"),), exif=b"II"))
    [(b'sRGB', b'\\x00'), (b'eXIf', b'II')]
    """
    chunks = list(metadata.colour)
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.density:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(pixels / 0.0254) for pixels in metadata.density), 1)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    return chunks + text_chunks(metadata)


def text_chunks(metadata: Metadata) -> list[Chunk]:
    """XMP and texts as chunks.

    >>> text_chunks(Metadata(text=((b"tEXt", b"Title\\0A"),)))
    [(b'tEXt', b'Title\\x00A')]
    """
    xmp = [(b"iTXt", XMP + bytes(5) + metadata.xmp)] if metadata.xmp else []
    return [*xmp, *metadata.text]


def text_chunk(key: str, text: str) -> Chunk:
    """A text chunk (iTXt, UTF-8, uncompressed); the keyword is cut after 79 bytes.

    >>> text_chunk("Title", "A photo")
    (b'iTXt', b'Title\\x00\\x00\\x00\\x00\\x00A photo')
    """
    return b"iTXt", key.encode("latin-1", "replace")[:79] + bytes(5) + text.encode("utf-8", "replace")


def comment_chunk(comment: bytes) -> Chunk:
    """The comment of a JPEG or GIF as a text chunk, decoded as UTF-8 or else Latin-1: the encoding is not stored.

    >>> comment_chunk(b"a photo")
    (b'iTXt', b'Comment\\x00\\x00\\x00\\x00\\x00a photo')
    """
    comment = comment.rstrip(b"\0")
    try:
        return text_chunk(COMMENT.decode(), comment.decode("utf-8"))
    except UnicodeDecodeError:
        return text_chunk(COMMENT.decode(), comment.decode("latin-1"))


def decode_text(chunk: Chunk) -> str | None:
    """The text of a text chunk; None where it is damaged or too large.

    >>> decode_text((b"tEXt", b"Title\\0A photo"))
    'A photo'
    """
    value = text_value(*chunk)
    return None if value is None else value.decode("utf-8" if chunk[0] == b"iTXt" else "latin-1", "replace")


@dataclass(slots=True)
class _MetadataReader:
    """Collect metadata chunk by chunk.

    total: decompressed bytes of the chunks collected so far; at most MAX_BYTES.
    """

    metadata: Metadata = field(default_factory=Metadata)
    total: int = 0

    def add(self, file: BinaryIO, chunk: ChunkLocation) -> None:
        """Keep the content of a chunk, or name it in `lost`."""
        content, name = read_chunk(file, chunk), chunk.name.decode()
        if content is None or not self._reserve(content) or len(content) != _LENGTHS.get(chunk.name, len(content)):
            self._add_lost(f"{name} chunk, which is damaged or too large")
        elif chunk.name in TEXT:
            self._add_text((chunk.name, content))
        elif chunk.name == b"iCCP":
            self._add_profile(content)
        elif chunk.name == b"eXIf":
            self.metadata = replace(self.metadata, exif=strip_prefix(content))
        elif chunk.name == b"pHYs":
            self._add_density(content)
        elif chunk.name not in _COLOUR:
            self._add_lost(f"{name} chunk")
        elif chunk.name not in dict(self.metadata.colour):
            self.metadata = replace(self.metadata, colour=(*self.metadata.colour, (chunk.name, content)))

    def _add_text(self, chunk: Chunk) -> None:
        key, value = keyword(chunk[1]), text_value(*chunk)
        if value is None or not self._reserve(value):
            self._add_lost(f'text "{key.decode("latin-1")}", which is damaged or too large')
        elif key == XMP:
            self.metadata = replace(self.metadata, xmp=value or None)
        elif key == RAW_EXIF:
            self.metadata = replace(self.metadata, exif=self.metadata.exif or _parse_hexadecimal_exif(value))
        else:
            chunk = _uncompressed(chunk, value) if len(value) > _MAX_COMPRESSED else chunk
            self.metadata = replace(self.metadata, text=(*self.metadata.text, chunk))

    def _add_profile(self, content: bytes) -> None:
        icc = decompress(content[len(keyword(content)) + 2 :])
        if icc and self._reserve(icc):
            self.metadata = replace(self.metadata, icc=icc)
        else:
            self._add_lost("colour profile, which is damaged or too large")

    def _add_density(self, content: bytes) -> None:
        horizontal, vertical, unit = struct.unpack(">IIB", content)
        if unit == 1:
            density = valid_density(per_metre_to_inch(horizontal), per_metre_to_inch(vertical))
            self.metadata = replace(self.metadata, density=density)
        elif horizontal != vertical:
            self._add_lost("aspect ratio of pixels")

    def _reserve(self, content: bytes) -> bool:
        """Add the size of the content to the total and return True, unless the total would exceed MAX_BYTES."""
        fits = self.total + len(content) <= MAX_BYTES
        self.total += len(content) if fits else 0
        return fits

    def _add_lost(self, name: str) -> None:
        self.metadata = replace(self.metadata, lost=(*self.metadata.lost, name))


def _uncompressed(chunk: Chunk, value: bytes) -> Chunk:
    """The same text in an uncompressed chunk."""
    name, content = chunk
    key = keyword(content)
    if name != b"iTXt":
        return b"tEXt", key + b"\0" + value
    language, translated, _ = content[len(key) + 3 :].split(b"\0", 2)
    return b"iTXt", key + bytes(3) + language + b"\0" + translated + b"\0" + value


def _parse_hexadecimal_exif(profile: bytes) -> bytes | None:
    """EXIF from the text that ImageMagick writes: lines with a name, a length, and then hexadecimal digits."""
    try:
        exif = bytes.fromhex("".join(profile.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return None
    return strip_prefix(exif)
