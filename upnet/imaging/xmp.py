"""XMP of an image that was turned upright and upscaled: orientation and size are corrected, the rest is kept.

"XMP Specification, Part 2: Additional Properties", 2016.
"""

import re

_ORIENTATION = (rb"tiff:Orientation",)
_SIDES = ((rb"tiff:ImageWidth", rb"exif:PixelXDimension"), (rb"tiff:ImageLength", rb"exif:PixelYDimension"))


def orientation(xmp: bytes) -> int | None:
    """The orientation in a packet, as EXIF numbers them; None without one."""
    return _number(xmp, _ORIENTATION)


def enlarged(xmp: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """The packet for the upscaled image.

    before, after: width and height, upright. Sizes that aren't those of the image stay as they are.
    """
    told = [_number(xmp, names) for names in _SIDES]
    xmp = _set(xmp, _ORIENTATION, 1)
    if tuple(told) in (before, before[::-1]):
        for names, side in zip(_SIDES, after, strict=True):
            xmp = _set(xmp, names, side)
    return xmp


def _number(xmp: bytes, names: tuple[bytes, ...]) -> int | None:
    """The number of the first of the properties that is there."""
    found = (_pattern(name).search(xmp) for name in names)
    return next((int(match[2]) for match in found if match), None)


def _set(xmp: bytes, names: tuple[bytes, ...], number: int) -> bytes:
    for name in names:
        xmp = _pattern(name).sub(lambda match: match[1] + b"%d" % number, xmp)
    return xmp


def _pattern(name: bytes) -> re.Pattern[bytes]:
    """A property as an attribute or as an element."""
    return re.compile(rb"(" + name + rb"(?:\s*=\s*[\"']|>)\s*)(\d{1,9})")
