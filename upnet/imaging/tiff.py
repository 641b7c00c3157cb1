"""TIFF: its metadata, and files with 8 or 16 bits per channel, since Pillow writes no 16-bit colour.

"TIFF, Revision 6.0", 1992, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf; and for deflate: "Adobe
Photoshop TIFF Technical Notes", 2002.
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from upnet.imaging import exif as exif_block
from upnet.imaging import xmp as xmp_packet
from upnet.imaging.metadata import Density, Metadata, put_density, same_density, tags_density, upright_metadata
from upnet.imaging.tiff_tags import BYTE, LONG, RATIONAL, SHORT, UNDEFINED, DamagedTagsError, Tags, Value, read_tags

_STRIP = 2**19
"""Bytes of a strip before compression, about; readers hold one in memory at a time."""
_FULL = 2**32 - 2**28
"""Where no further strip is begun: offsets have 32 bits, and the tags come last."""
_DEFLATE, _DIFFERENCES, _UNASSOCIATED, _NO_UNIT = 8, 2, 2, 1
_XMP, _ICC = 700, 34675
_LOST_TAGS = {301: "transfer function", 33723: "IPTC", 34377: "Photoshop data"}


def write_tiff(
    file: BinaryIO,
    samples: np.ndarray,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    density: Density | None = None,
) -> None:
    """(H, W, C) uint8 or uint16 as a TIFF, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    icc:     a colour profile.
    exif:    a block of EXIF, whose tags stand among the file's own.
    xmp:     a packet of XMP.
    density: pixels per inch; None is that of the EXIF, or none.

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
    if density and not same_density(tags_density(tags), density):
        put_density(tags, density)
    elif not {282, 283} <= tags.values.keys():  # which readers may expect
        tags.put(282, RATIONAL, 1, 1)
        tags.put(283, RATIONAL, 1, 1)
        tags.put(296, SHORT, _NO_UNIT)
    if icc:
        tags.values[_ICC] = Value(UNDEFINED, icc)
    if xmp:
        tags.values[_XMP] = Value(BYTE, xmp)
    start = file.tell()
    file.write(tags.tobytes(start))
    file.seek(4)
    file.write(struct.pack(tags.order + "I", start))


def read_tiff(path: Path) -> Metadata:
    """The metadata of a TIFF, its resolution upright, since Pillow turns the pixels of a TIFF by itself."""
    try:
        with path.open("rb") as file:
            tags = read_tags(file)
    except DamagedTagsError:
        return Metadata(lost=("EXIF, which is damaged",))
    icc, xmp = tags.values.get(_ICC), tags.values.get(_XMP)
    found = Metadata(
        icc=icc.content if icc else None,
        exif=exif_block.of_tiff(tags),
        xmp=xmp.content if xmp else None,
        density=tags_density(tags),
        lost=tuple(name for tag, name in _LOST_TAGS.items() if tag in tags.values),
    )
    return upright_metadata(found, tags.number(274) or xmp_packet.orientation(found.xmp or b"") or 1)


def _differences(rows: np.ndarray, order: str) -> bytes:
    """Every sample less the one to its left, which packs better."""
    rest = rows.copy()
    rest[:, 1:] -= rows[:, :-1]
    return rest.astype(rest.dtype.newbyteorder(order)).tobytes()
