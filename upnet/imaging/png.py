"""PNG: its metadata, and files with 16 bits per channel in colour and with alpha, which Pillow can't write.

"Portable Network Graphics (PNG) Specification (Third Edition)", 2025, https://www.w3.org/TR/png-3/.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from upnet.imaging.metadata import Chunk, Density, Metadata, bare_exif, checked_density, density_of_metre, exif_density
from upnet.imaging.png_chunks import (
    MOST,
    RAW_EXIF,
    SIGNATURE,
    TEXT,
    XMP,
    Place,
    find_chunks,
    keyword,
    read_chunk,
    text_value,
    unpack,
)

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK = 2**21
"""Bytes that are filtered at a time: few enough to stay in a core's cache, more or less."""
_SUB, _UP, _PAETH = 1, 2, 4

COMMENT = b"Comment"
"""The keyword of what JPEG and GIF hold in a comment."""
_COLOUR = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP"})
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_PACKED = 2**20
"""The most bytes of a text that stays packed."""
# What holds for the smaller image only: significant bits, histogram, time of the last change, how pixels are stored.
_OUTDATED = frozenset({b"sBIT", b"hIST", b"tIME", b"iDOT"})


def write_png(file: BinaryIO, samples: np.ndarray, before: Sequence[Chunk] = (), level: int = 6) -> None:
    """(H, W, C) uint16 as a PNG, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    before: chunks that stand before the pixels: iCCP, eXIf, gAMA …
    level:  of zlib, 0 ... 9.
    """
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE[channels], 0, 0, 0)
    file.write(SIGNATURE)
    for name, content in ((b"IHDR", header), *before):
        _write(file, name, content)
    stream = zlib.compressobj(level)
    for rows in _filtered(samples):
        if packed := stream.compress(rows):
            _write(file, b"IDAT", packed)
    _write(file, b"IDAT", stream.flush())
    _write(file, b"IEND", b"")


def icc_chunk(profile: bytes) -> Chunk:
    """A colour profile as PNG carries it."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)


def density_chunk(density: Density) -> Chunk:
    """Pixels per inch as PNG carries them: per metre."""
    return b"pHYs", struct.pack(">IIB", *(round(pixels / 0.0254) for pixels in density), 1)


def text_chunk(key: str, text: str) -> Chunk:
    """A text as PNG carries it."""
    return b"iTXt", key.encode("latin-1", "replace")[:79] + bytes(5) + text.encode("utf-8", "replace")


def xmp_chunk(xmp: bytes) -> Chunk:
    """XMP as PNG carries it."""
    return b"iTXt", XMP + bytes(5) + xmp


def read_png(path: Path) -> Metadata:
    """The metadata of a PNG. What is damaged or too large is lost; the file is read as far as it is one."""
    reader = _PngReader()
    with path.open("rb") as file:
        for place in find_chunks(file):
            if place.metadata and place.name not in _OUTDATED:
                reader.add(file, place)
    found = reader.found
    if found.icc:  # the specification allows only one of them
        found = replace(found, colour=tuple(chunk for chunk in found.colour if chunk[0] != b"sRGB"))
    return replace(found, density=found.density or exif_density(found.exif), lost=tuple(dict.fromkeys(found.lost)))


def comment_chunk(comment: bytes) -> Chunk:
    """The comment of a JPEG or GIF as PNG holds it. Its encoding is told nowhere: UTF-8, or else Latin-1."""
    try:
        return text_chunk(COMMENT.decode(), comment.rstrip(b"\0").decode("utf-8"))
    except UnicodeDecodeError:
        return text_chunk(COMMENT.decode(), comment.rstrip(b"\0").decode("latin-1"))


def text_of(chunk: Chunk) -> str | None:
    """The text of a chunk; None where it is damaged or too large."""
    value = text_value(*chunk)
    return None if value is None else value.decode("utf-8" if chunk[0] == b"iTXt" else "latin-1", "replace")


@dataclass(slots=True)
class _PngReader:
    """Metadata chunk by chunk.

    total: bytes of the chunks that are kept, unpacked.
    """

    found: Metadata = field(default_factory=Metadata)
    total: int = 0

    def add(self, file: BinaryIO, place: Place) -> None:
        """Keep what a chunk holds, or what is lost with it."""
        content, name = read_chunk(file, place), place.name.decode()
        if content is None or not self._fits(content) or len(content) != _LENGTHS.get(place.name, len(content)):
            self._lose(f"{name} chunk, which is damaged or too large")
        elif place.name in TEXT:
            self._add_text((place.name, content))
        elif place.name == b"iCCP":
            self._add_profile(content)
        elif place.name == b"eXIf":
            self.found = replace(self.found, exif=bare_exif(content))
        elif place.name == b"pHYs":
            self._add_density(content)
        elif place.name not in _COLOUR:
            self._lose(f"{name} chunk")
        elif place.name not in dict(self.found.colour):
            self.found = replace(self.found, colour=(*self.found.colour, (place.name, content)))

    def _add_text(self, chunk: Chunk) -> None:
        key, value = keyword(chunk[1]), text_value(*chunk)
        if value is None or not self._fits(value):
            self._lose(f'text "{key.decode("latin-1")}", which is damaged or too large')
        elif key == XMP:
            self.found = replace(self.found, xmp=value or None)
        elif key == RAW_EXIF:
            self.found = replace(self.found, exif=self.found.exif or _of_digits(value))
        else:
            chunk = _unpacked(chunk, value) if len(value) > _PACKED else chunk
            self.found = replace(self.found, text=(*self.found.text, chunk))

    def _add_profile(self, content: bytes) -> None:
        icc = unpack(content[len(keyword(content)) + 2 :])
        if icc and self._fits(icc):
            self.found = replace(self.found, icc=icc)
        else:
            self._lose("colour profile, which is damaged or too large")

    def _add_density(self, content: bytes) -> None:
        horizontal, vertical, unit = struct.unpack(">IIB", content)
        if unit == 1:
            density = checked_density(density_of_metre(horizontal), density_of_metre(vertical))
            self.found = replace(self.found, density=density)
        elif horizontal != vertical:
            self._lose("aspect ratio of pixels")

    def _fits(self, content: bytes) -> bool:
        """Count the bytes, if they fit."""
        fits = self.total + len(content) <= MOST
        self.total += len(content) if fits else 0
        return fits

    def _lose(self, what: str) -> None:
        self.found = replace(self.found, lost=(*self.found.lost, what))


def _unpacked(chunk: Chunk, value: bytes) -> Chunk:
    """The same text, not packed: Pillow opens no file in which a packed one has more than 1 MB."""
    name, content = chunk
    key = keyword(content)
    if name != b"iTXt":
        return b"tEXt", key + b"\0" + value
    language, translated, _ = content[len(key) + 3 :].split(b"\0", 2)
    return b"iTXt", key + bytes(3) + language + b"\0" + translated + b"\0" + value


def _of_digits(profile: bytes) -> bytes | None:
    """EXIF from ImageMagick's lines: a name, a length, and hexadecimal digits."""
    try:
        exif = bytes.fromhex("".join(profile.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return None
    return bare_exif(exif)


def _write(file: BinaryIO, name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name)
    file.write(content)
    file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))


def _filtered(samples: np.ndarray) -> Iterator[bytes]:
    """The rows, some at a time, each as its differences to the neighbours by the filter that leaves the smallest."""
    height, width, channels = samples.shape
    step, length = 2 * channels, 2 * channels * width
    block = max(1, _BLOCK // length)
    above = np.zeros((1, length), np.uint8)
    for first in range(0, height, block):
        rows = samples[first : first + block].astype(">u2").view(np.uint8).reshape(-1, length)
        up = np.concatenate((above, rows[:-1]))
        above = rows[-1:].copy()
        left, corner = (np.pad(these[:, :-step], ((0, 0), (step, 0))) for these in (rows, up))
        best = np.empty((len(rows), 1 + length), np.uint8)
        least = np.full(len(rows), np.iinfo(np.int64).max)
        for kind, guess in ((_UP, up), (_SUB, left), (_PAETH, None)):
            rest = rows - (_paeth(left, up, corner) if guess is None else guess)
            # The sum of absolute differences, taken as signed bytes: the specification's own rule of thumb.
            size = np.minimum(rest, 0 - rest).sum(axis=1, dtype=np.int64)
            chosen = size < least
            best[chosen, 0], least[chosen] = kind, size[chosen]
            best[chosen, 1:] = rest[chosen]
        yield best.tobytes()


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Of left, up and corner that which is nearest to left + up - corner; at ties the first of them."""
    wide_left, wide_up, wide_corner = (these.astype(np.int16) for these in (left, up, corner))
    to_left = np.abs(wide_up - wide_corner)
    to_up = np.abs(wide_left - wide_corner)
    to_corner = np.abs(wide_left + wide_up - 2 * wide_corner)
    nearer = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearer)
