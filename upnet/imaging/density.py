"""The resolution of an image in pixels per inch: validation, unit conversion, and its TIFF and EXIF tags."""

import io
import math
from fractions import Fraction

from upnet.imaging.ifd import RATIONAL, RESOLUTION, RESOLUTION_UNIT, SHORT, DamagedTagsError, Tags, read_tags

Density = tuple[float, float]
"""Pixels per inch, horizontally and vertically."""

_INCH, _CENTIMETRE = 2, 3
_MAX = 5e7
"""Pixels per inch that every format except JPEG can hold."""


def valid_density(horizontal: float, vertical: float) -> Density | None:
    """Both values as a Density; None unless both are positive and within what formats can hold.

    >>> valid_density(300, 300), valid_density(0, 72)
    ((300, 300), None)
    """
    valid = all(math.isfinite(pixels) and 0 < pixels <= _MAX for pixels in (horizontal, vertical))
    return (horizontal, vertical) if valid else None


def per_metre_to_inch(pixels: float) -> float:
    """Convert pixels per metre to pixels per inch.

    Files store whole pixels per metre. Where an integer resolution in dpi rounds to `pixels`, that integer is returned.

    >>> per_metre_to_inch(11811)
    300.0
    """
    per_inch = pixels * 0.0254
    return float(round(per_inch)) if round(round(per_inch) / 0.0254) == pixels else per_inch


def equal_density(first: Density | None, second: Density | None) -> bool:
    """Whether two resolutions are equal up to the rounding of file formats (0.1 %), or both None.

    >>> equal_density((300, 300), (300.1, 300)), equal_density(None, (300, 300))
    (True, False)
    """
    if first is None or second is None:
        return first is second
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(first, second, strict=True))


def density_of_tags(tags: Tags) -> Density | None:
    """The resolution in the tags of a TIFF or of EXIF; None without one.

    >>> density_of_tags(density_tags((300, 150)))
    (300.0, 150.0)
    """
    factor = {None: 1.0, _INCH: 1.0, _CENTIMETRE: 2.54}.get(tags.integer(RESOLUTION_UNIT))
    horizontal, vertical = (tags.ratio(tag) for tag in RESOLUTION)
    if factor is None or horizontal is None or vertical is None:
        return None
    return valid_density(horizontal * factor, vertical * factor)


def density_of_exif(exif: bytes | None) -> Density | None:
    """The resolution in an EXIF block; None without one, and for a damaged block.

    >>> density_of_exif(None) is None
    True
    """
    if exif is None:
        return None
    try:
        return density_of_tags(read_tags(io.BytesIO(exif)))
    except DamagedTagsError:
        return None


def density_tags(density: Density) -> Tags:
    """Tags that hold the resolution and nothing else.

    >>> sorted(density_tags((300, 300)).values)
    [282, 283, 296]
    """
    tags = Tags("<")
    for tag, pixels in zip(RESOLUTION, density, strict=True):
        ratio = Fraction(pixels).limit_denominator(max(1, min(10_000, int(2**32 / pixels) - 1)))
        tags.set(tag, RATIONAL, ratio.numerator, ratio.denominator)
    tags.set(RESOLUTION_UNIT, SHORT, _INCH)
    return tags
