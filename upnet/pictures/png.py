"""PNG with 16 bits per channel in colour and with alpha, which Pillow can't write.

"Portable Network Graphics (PNG) Specification (Third Edition)", 2025, https://www.w3.org/TR/png-3/.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK = 2**21
"""Bytes that are filtered at a time: few enough to stay in a core's cache, more or less."""
_SUB, _UP, _PAETH = 1, 2, 4

Chunk = tuple[bytes, bytes]
"""Its name of four letters, and its content."""


def write_png(file: BinaryIO, samples: np.ndarray, before: Sequence[Chunk] = (), level: int = 6) -> None:
    """(H, W, C) uint16 as a PNG, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    before: chunks that stand before the pixels: iCCP, eXIf, gAMA …
    level:  of zlib, 0 ... 9.
    """
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE[channels], 0, 0, 0)
    file.write(_SIGNATURE)
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
