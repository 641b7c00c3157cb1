"""Metadata of an image that Pillow has opened, and what Pillow's `info` holds of it."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from upnet.imaging.metadata import (
    EXIF_PREFIX,
    Chunk,
    Density,
    Metadata,
    bare_exif,
    checked_density,
    density_of_metre,
    exif_density,
    upright_metadata,
)
from upnet.imaging.png import COMMENT, comment_chunk, read_png, text_chunk, text_of
from upnet.imaging.png_chunks import MOST, RAW_EXIF, XMP, keyword
from upnet.imaging.reading import DAMAGE
from upnet.imaging.tiff import read_tiff

_SEGMENTS = (
    ("APP0", b"JFIF\0", None),
    ("APP0", b"JFXX\0", None),
    ("APP1", EXIF_PREFIX, None),
    ("APP1", b"http://ns.adobe.com/xap/1.0/\0", None),
    ("APP1", b"http://ns.adobe.com/xmp/extension/\0", "extended XMP"),
    ("APP2", b"ICC_PROFILE\0", None),
    ("APP2", b"MPF\0", None),
    ("APP11", b"JP", "content credentials"),
    ("APP13", b"", "IPTC or Photoshop data"),
    ("APP14", b"Adobe", None),
    ("COM", b"", None),
)
"""Segments of JPEG: marker, beginning, and what is lost with them; None for what is kept or outdated."""

_RESERVED = frozenset({b"chromaticity", b"dpi", b"exif", b"gamma", b"icc_profile", b"srgb", b"transparency", b"xmp"})
"""Names in Pillow's `info` that mean something else than a text."""


def metadata_of(image: Image.Image, path: Path | None, turn: int) -> Metadata:
    """Of an image that Pillow has loaded, its resolution upright.

    turn: the orientation that Pillow left to be undone, as EXIF numbers them.
    path: the file it comes from, where there is one: of PNG, TIFF and BMP it holds more than Pillow tells.
    """
    if path is not None and image.format == "PNG":
        return upright_metadata(read_png(path), turn)
    icc, exif, xmp = _bytes(image, "icc_profile"), _exif(image), _bytes(image, "xmp")
    if path is not None and image.format == "TIFF":
        found = read_tiff(path)
        return replace(found, icc=found.icc or icc)
    if path is not None and image.format == "BMP":
        icc = _bmp_profile(path)
    comment = _bytes(image, "comment")
    text = [comment_chunk(comment)] if comment else []
    if image.format == "PNG":
        texts = {str(name): value for name, value in image.info.items() if isinstance(value, str)}
        text += [text_chunk(name, value) for name, value in texts.items() if name.encode() not in (XMP, RAW_EXIF)]
    found = Metadata(
        icc=icc,
        exif=exif,
        xmp=xmp,
        density=_density(image) or exif_density(exif),
        colour=_colour(image),
        text=tuple(text),
        lost=_segments(image),
    )
    return upright_metadata(found, turn)


def info_of(metadata: Metadata) -> dict[str, Any]:
    """Metadata under the names by which Pillow keeps it in `info`."""
    info: dict[str, Any] = {}
    for key, text in ((keyword(chunk[1]), text_of(chunk)) for chunk in metadata.text):
        if text is not None and key not in _RESERVED:
            info[key.decode("latin-1")] = text
            info |= {"comment": text.encode()} if key == COMMENT else {}
    colour = dict(metadata.colour)
    if gamma := colour.get(b"gAMA"):
        info["gamma"] = struct.unpack(">I", gamma)[0] / 100000
    if points := colour.get(b"cHRM"):
        info["chromaticity"] = tuple(point / 100000 for point in struct.unpack(">8I", points))
    if intent := colour.get(b"sRGB"):
        info["srgb"] = intent[0]
    exif = metadata.exif and EXIF_PREFIX + metadata.exif
    further = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp, "dpi": metadata.density}
    return info | {name: value for name, value in further.items() if value}


def _bytes(image: Image.Image, name: str) -> bytes | None:
    """What `info` holds under a name, unless it is a text of a PNG that happens to be called so."""
    value = image.info.get(name)
    return value if value and isinstance(value, bytes) else None


def _density(image: Image.Image) -> Density | None:
    """What the format itself says, beside EXIF."""
    if image.format in ("JPEG", "MPO"):  # of which Pillow's own "dpi" may be a guess
        unit, pixels = image.info.get("jfif_unit"), image.info.get("jfif_density")
        if unit not in (1, 2) or not isinstance(pixels, tuple):
            return None
        step = 2.54 if unit == 2 else 1.0
        return checked_density(pixels[0] * step, pixels[1] * step)
    found = image.info.get("dpi")
    if not isinstance(found, Sequence) or len(found) != 2:
        return None
    try:
        horizontal, vertical = float(found[0]), float(found[1])
    except (TypeError, ValueError, ArithmeticError):
        return None
    if image.format == "BMP":  # Pillow's own factor
        horizontal, vertical = (density_of_metre(round(one * 39.3701)) for one in (horizontal, vertical))
    return checked_density(horizontal, vertical)


def _exif(image: Image.Image) -> bytes | None:
    """The block of EXIF as it stands in the file; of a PNG that wraps it in text, as Pillow understands it."""
    raw = _bytes(image, "exif")
    if not raw and "Raw profile type exif" in image.info:
        try:
            raw = image.getexif().tobytes()
        except DAMAGE:
            raw = None
    return bare_exif(raw)


def _segments(image: Image.Image) -> tuple[str, ...]:
    """What a JPEG holds beside what is kept."""
    names: list[str] = []
    for name, content in getattr(image, "applist", []):
        known = (lost for kind, start, lost in _SEGMENTS if name == kind and content.startswith(start))
        if lost := next(known, f"{name} segment"):
            names.append(lost)
    return tuple(dict.fromkeys(names))


def _colour(image: Image.Image) -> tuple[Chunk, ...]:
    """Of a PNG without its file."""
    if image.format != "PNG":
        return ()
    chunks: list[Chunk] = []
    gamma, points, intent = (image.info.get(name) for name in ("gamma", "chromaticity", "srgb"))
    if isinstance(gamma, float):
        chunks.append((b"gAMA", struct.pack(">I", round(gamma * 100000))))
    if isinstance(points, tuple):
        chunks.append((b"cHRM", struct.pack(">8I", *(round(point * 100000) for point in points))))
    if isinstance(intent, int) and not image.info.get("icc_profile"):
        chunks.append((b"sRGB", struct.pack(">B", intent)))
    return tuple(chunks)


def _bmp_profile(path: Path) -> bytes | None:
    """The colour profile in a BMP of version 5, which Pillow leaves out."""
    with path.open("rb") as file:
        head = file.read(138)
        if len(head) < 138 or int.from_bytes(head[14:18], "little") < 124 or head[70:74] != b"DEBM":
            return None
        offset, size = struct.unpack_from("<II", head, 126)
        if size > MOST:
            return None
        file.seek(14 + offset)
        profile = file.read(size)
    return profile if len(profile) == size else None
