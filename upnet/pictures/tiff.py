"""TIFF with 8 or 16 bits per channel: Pillow writes no 16-bit colour.

"TIFF, Revision 6.0", 1992, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf; and for deflate: "Adobe
Photoshop TIFF Technical Notes", 2002.
"""

import struct
import zlib
from typing import BinaryIO

import numpy as np

from upnet.pictures import exif as exif_block
from upnet.pictures.tags import LONG, RATIONAL, SHORT, UNDEFINED, Tags, Value

_STRIP = 2**19
"""Bytes of a strip before compression, about; readers hold one in memory at a time."""
_FULL = 2**32 - 2**28
"""Where no further strip is begun: offsets have 32 bits, and the tags come last."""
_DEFLATE, _DIFFERENCES, _UNASSOCIATED, _INCH = 8, 2, 2, 2


def write_tiff(file: BinaryIO, samples: np.ndarray, icc: bytes | None = None, exif: bytes | None = None) -> None:
    """(H, W, C) uint8 or uint16 as a TIFF, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    icc:  a colour profile.
    exif: a block of EXIF, whose tags stand among the file's own.

    Raises ValueError where it doesn't fit into 4 GB, the most that a TIFF holds.
    """
    height, width, channels = samples.shape
    tags = exif_block.to_tiff(exif) if exif else Tags("<")
    rows = max(1, _STRIP // (width * channels * samples.itemsize))
    file.write((b"II" if tags.order == "<" else b"MM") + struct.pack(tags.order + "HI", 42, 0))
    offsets, lengths = [], []
    for first in range(0, height, rows):
        if file.tell() >= _FULL:
            raise ValueError("a TIFF holds at most 4 GB, and this would be more: write a .png")
        strip = zlib.compress(_differences(samples[first : first + rows], tags.order))
        offsets.append(file.tell())
        lengths.append(len(strip))
        file.write(strip + b"\0" * (len(strip) % 2))
    tags.put(256, LONG, width)
    tags.put(257, LONG, height)
    tags.put(258, SHORT, *[8 * samples.itemsize] * channels)
    tags.put(259, SHORT, _DEFLATE)
    tags.put(262, SHORT, 2 if channels > 2 else 1)
    tags.put(273, LONG, *offsets)
    tags.put(277, SHORT, channels)
    tags.put(278, LONG, rows)
    tags.put(279, LONG, *lengths)
    tags.put(284, SHORT, 1)
    tags.put(317, SHORT, _DIFFERENCES)
    if channels in (2, 4):
        tags.put(338, SHORT, _UNASSOCIATED)
    if not {282, 283} <= tags.values.keys():
        tags.put(282, RATIONAL, 72, 1)
        tags.put(283, RATIONAL, 72, 1)
        tags.put(296, SHORT, _INCH)
    if icc:
        tags.values[34675] = Value(UNDEFINED, icc)
    start = file.tell()
    file.write(tags.tobytes(start))
    file.seek(4)
    file.write(struct.pack(tags.order + "I", start))


def _differences(rows: np.ndarray, order: str) -> bytes:
    """Every sample less the one to its left, which packs better."""
    rest = rows.copy()
    rest[:, 1:] -= rows[:, :-1]
    return rest.astype(rest.dtype.newbyteorder(order)).tobytes()
