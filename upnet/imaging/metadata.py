"""Metadata of an image file, whatever its format: colour profile, EXIF, XMP, resolution, colour and text chunks."""

import io
import math
from dataclasses import dataclass, replace
from fractions import Fraction

from upnet.imaging import exif as exif_block
from upnet.imaging.tiff_tags import RATIONAL, SHORT, DamagedTagsError, Tags, read_tags

Density = tuple[float, float]
"""Pixels per inch, horizontally and vertically."""
Chunk = tuple[bytes, bytes]
"""A chunk of PNG: its name of four letters, and its content."""

EXIF_PREFIX = b"Exif\0\0"
"""What stands before a block of EXIF in a JPEG, and where Pillow hands it on."""
_RESOLUTION, _UNIT = (282, 283), 296
_INCH, _CENTIMETRE = 2, 3
_FINEST = 5e7
"""Pixels per inch that every format can hold, but JPEG."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Of one image.

    icc:     the colour profile.
    exif:    a block of EXIF without the word Exif before it.
    xmp:     a packet of XMP.
    density: pixels per inch.
    colour:  what PNG says of colours beside a profile: gAMA, cHRM, sRGB, cICP.
    text:    tEXt, zTXt and iTXt chunks of PNG; the comment of other formats is one of them.
    lost:    what can't be kept, whatever the output's format: a name for each, such as "IPTC".
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    density: Density | None = None
    colour: tuple[Chunk, ...] = ()
    text: tuple[Chunk, ...] = ()
    lost: tuple[str, ...] = ()


def bare_exif(block: bytes | None) -> bytes | None:
    """A block of EXIF without the words before it; None where nothing is left."""
    while block and block.startswith(EXIF_PREFIX):
        block = block.removeprefix(EXIF_PREFIX)
    return block or None


def upright_metadata(found: Metadata, turn: int) -> Metadata:
    """Horizontal and vertical resolution exchanged where the EXIF orientation (1 ... 8) exchanges rows and columns."""
    if turn not in (5, 6, 7, 8):
        return found
    density = found.density and (found.density[1], found.density[0])
    return replace(found, density=density, exif=found.exif and exif_block.turned(found.exif))


def checked_density(horizontal: float, vertical: float) -> Density | None:
    """Pixels per inch; None where they are none."""
    fit = all(math.isfinite(one) and 0 < one <= _FINEST for one in (horizontal, vertical))
    return (horizontal, vertical) if fit else None


def density_of_metre(pixels: float) -> float:
    """Pixels per metre -> pixels per inch: the whole number that it is the rounding of, where there is one."""
    inch = pixels * 0.0254
    return float(round(inch)) if round(round(inch) / 0.0254) == pixels else inch


def put_density(tags: Tags, density: Density) -> None:
    """Set the resolution in the tags of a TIFF, or of EXIF."""
    for tag, pixels in zip(_RESOLUTION, density, strict=True):
        ratio = Fraction(pixels).limit_denominator(max(1, min(10_000, int(2**32 / pixels) - 1)))
        tags.put(tag, RATIONAL, ratio.numerator, ratio.denominator)
    tags.put(_UNIT, SHORT, _INCH)


def density_block(density: Density) -> bytes:
    """A block of EXIF that holds the resolution."""
    tags = Tags("<")
    put_density(tags, density)
    return exif_block.block(tags)


def same_density(one: Density | None, other: Density | None) -> bool:
    """Whether both mean the same, as far as formats round it."""
    if one is None or other is None:
        return one is other
    return all(math.isclose(first, second, rel_tol=1e-3) for first, second in zip(one, other, strict=True))


def exif_density(exif: bytes | None) -> Density | None:
    """The resolution in a block of EXIF."""
    if exif is None:
        return None
    try:
        return tags_density(read_tags(io.BytesIO(exif)))
    except DamagedTagsError:
        return None


def tags_density(tags: Tags) -> Density | None:
    """The resolution in the tags of a TIFF, or of EXIF."""
    step = {None: 1.0, _INCH: 1.0, _CENTIMETRE: 2.54}.get(tags.number(_UNIT))
    horizontal, vertical = (tags.ratio(tag) for tag in _RESOLUTION)
    if step is None or horizontal is None or vertical is None:
        return None
    return checked_density(horizontal * step, vertical * step)
