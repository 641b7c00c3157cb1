"""Find, read and write the chunks of a PNG file, and open the file without its metadata chunks.

Pillow rejects an image because of one text chunk that is damaged or that decompresses to more than 1 MB. Therefore
Pillow gets only the chunks that pixels depend on. Metadata is read here, with a limit on memory; damaged metadata is
skipped, and the image is still read.

W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025, https://www.w3.org/TR/png-3/
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
MAX_BYTES = 2**26
"""Limit for one chunk, also decompressed: a larger one is damaged, or made to exhaust memory."""
TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
XMP, RAW_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
"""Keywords of texts that hold other metadata: XMP, and EXIF as hexadecimal digits (older ImageMagick)."""
_MAX_CHUNKS = 2**18
"""Limit for the chunks of a file; libpng writes one per 8 KB of compressed pixels."""
_PIXEL_CHUNKS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})
"""Chunks whose names mark them as ancillary, although pixels depend on them: transparency, animation frames."""


@dataclass(frozen=True, slots=True)
class ChunkLocation:
    """The position of a chunk in a file.

    name:   four letters.
    start:  offset of its content.
    length: bytes of its content, as the file states it.

    >>> ChunkLocation(b"tEXt", start=41, length=7).is_metadata
    True
    """

    name: bytes
    start: int
    length: int

    @property
    def is_metadata(self) -> bool:
        """Whether the pixels don't depend on the chunk."""
        return self.name[:1].islower() and self.name not in _PIXEL_CHUNKS


def find_chunks(file: BinaryIO) -> list[ChunkLocation]:
    """The chunks of a PNG up to its end or to the first bytes that are not a chunk; [] for other files.

    >>> file = io.BytesIO(SIGNATURE)
    >>> _ = file.seek(0, io.SEEK_END)
    >>> write_chunk(file, b"IEND", b"")
    >>> find_chunks(file)
    [ChunkLocation(name=b'IEND', start=16, length=0)]
    """
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return []
    chunks: list[ChunkLocation] = []
    while len(chunks) < _MAX_CHUNKS and len(head := file.read(8)) == 8 and head[4:].isalpha():
        chunk = ChunkLocation(head[4:], file.tell(), int.from_bytes(head[:4], "big"))
        chunks.append(chunk)
        if chunk.name == b"IEND":
            break
        file.seek(chunk.start + chunk.length + 4)
    return chunks


def read_chunk(file: BinaryIO, chunk: ChunkLocation) -> bytes | None:
    """The content of a chunk; None where its checksum is wrong or it has more than MAX_BYTES bytes.

    >>> file = io.BytesIO()
    >>> write_chunk(file, b"tEXt", b"Title\\0A")
    >>> read_chunk(file, ChunkLocation(b"tEXt", start=8, length=7))
    b'Title\\x00A'
    """
    if chunk.length > MAX_BYTES:
        return None
    file.seek(chunk.start)
    content, checksum = file.read(chunk.length), file.read(4)
    return content if checksum == struct.pack(">I", zlib.crc32(content, zlib.crc32(chunk.name))) else None


def write_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    """Append a chunk: length, name, content, checksum.

    >>> file = io.BytesIO()
    >>> write_chunk(file, b"IEND", b"")
    >>> file.getvalue()
    b'\\x00\\x00\\x00\\x00IEND\\xaeB`\\x82'
    """
    file.write(struct.pack(">I", len(content)) + name)
    file.write(content)
    file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))


def keyword(content: bytes) -> bytes:
    """The keyword of a text chunk, or the name of an ICC profile.

    >>> keyword(b"Title\\0A photo")
    b'Title'
    """
    return content.partition(b"\0")[0]


def text_value(name: bytes, content: bytes) -> bytes | None:
    """The text of a tEXt or zTXt chunk (Latin-1) or an iTXt chunk (UTF-8).

    None where it is damaged or decompresses to more than MAX_BYTES bytes.

    >>> text_value(b"tEXt", b"Title\\0A photo")
    b'A photo'
    """
    _, _, rest = content.partition(b"\0")
    if name == b"tEXt":
        return rest
    if name == b"zTXt":
        return decompress(rest[1:]) if rest[:1] == b"\0" else None
    is_compressed, parts = rest[:1] != b"\0", rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    return decompress(parts[2]) if is_compressed else parts[2]


def decompress(content: bytes) -> bytes | None:
    """Decompress a zlib stream; None where it is damaged or has more than MAX_BYTES bytes.

    >>> decompress(zlib.compress(b"text")), decompress(b"damaged")
    (b'text', None)
    """
    stream = zlib.decompressobj()
    try:
        decompressed = stream.decompress(content, MAX_BYTES)
    except zlib.error:
        return None
    return None if stream.unconsumed_tail else decompressed


@contextmanager
def without_metadata(path: Path) -> Iterator[Path | BinaryIO]:
    """A PNG file without its metadata chunks, for Pillow to open; for any other file its path.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "grey.png")
    ...     Image.new("L", (3, 2)).save(path, dpi=(300, 300))
    ...     with without_metadata(path) as source, Image.open(source) as image:
    ...         image.size, "dpi" in image.info
    ((3, 2), False)
    """
    with path.open("rb") as file:
        hidden = [chunk for chunk in find_chunks(file) if chunk.is_metadata]
        if not hidden:
            yield path
            return
        ends = [0, *(chunk.start + chunk.length + 4 for chunk in hidden)]
        size = file.seek(0, io.SEEK_END)
        spans = zip(ends, [*(chunk.start - 8 for chunk in hidden), size], strict=True)
        view = _FileSpans(file, [(start, stop) for start, stop in spans if start < stop])
        with io.BufferedReader(view, 2**16) as reader:
            yield reader


def orientation_info(path: Path) -> dict[str, Any]:
    """EXIF and XMP of a PNG file under the keys of Pillow's `info`, where `getexif` looks for the orientation.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exif = Image.Exif()
    ...     exif[0x0112] = 6
    ...     Image.new("L", (3, 2)).save(f"{folder}/rotated.png", exif=exif)
    ...     list(orientation_info(Path(folder, "rotated.png")))
    ['exif']
    """
    info: dict[str, Any] = {}
    with path.open("rb") as file:
        for chunk in find_chunks(file):
            if chunk.name != b"eXIf" and chunk.name not in TEXT:
                continue
            content = read_chunk(file, chunk)
            if content is None:
                continue
            if chunk.name == b"eXIf":
                info["exif"] = b"Exif\0\0" + content
            elif keyword(content) in (XMP, RAW_EXIF) and (value := text_value(chunk.name, content)) is not None:
                info |= {"xmp": value} if keyword(content) == XMP else {RAW_EXIF.decode(): value.decode("latin-1")}
    return info


class _FileSpans(io.RawIOBase):
    """Spans of a file that are read as one file."""

    def __init__(self, file: BinaryIO, spans: Sequence[tuple[int, int]]) -> None:
        """spans: (start, stop) offsets, in order."""
        super().__init__()
        self._file = file
        self._spans = spans
        self._starts = [0]
        for start, stop in spans:
            self._starts.append(self._starts[-1] + stop - start)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        index = bisect_right(self._starts, self._position) - 1
        if index >= len(self._spans):
            return 0
        start, stop = self._spans[index]
        offset = start + self._position - self._starts[index]
        self._file.seek(offset)
        content = self._file.read(min(len(buffer), stop - offset))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
