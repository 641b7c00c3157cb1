"""Read the metadata of an image that Pillow has opened, and of TIFF and BMP files."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from upnet.imaging.decoding import DECODER_ERRORS
from upnet.imaging.density import Density, density_of_exif, density_of_tags, per_metre_to_inch, valid_density
from upnet.imaging.exif import EXIF_PREFIX, strip_prefix, swap_resolution, tiff_to_exif, xmp_orientation
from upnet.imaging.ifd import ORIENTATION, DamagedTagsError, read_tags
from upnet.imaging.image import Chunk, Metadata
from upnet.imaging.png_chunks import MAX_BYTES, RAW_EXIF, XMP
from upnet.imaging.png_metadata import comment_chunk, read_png_metadata, text_chunk

_JPEG_SEGMENTS = (
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
"""JPEG segments: marker, first bytes, and the name of the metadata that is lost; None if it is kept or not needed."""

_TIFF_XMP, _TIFF_ICC = 700, 34675
_LOST_TIFF_TAGS = {301: "transfer function", 33723: "IPTC", 34377: "Photoshop data"}


def read_metadata(image: Image.Image, path: Path | None, orientation: int) -> Metadata:
    """Metadata of an image that Pillow has loaded, in the upright orientation.

    path:        the file it comes from, or None. PNG, TIFF and BMP files contain more than Pillow reads.
    orientation: the EXIF orientation (1..8) of the pixels that Pillow returned.

    >>> image = Image.new("L", (3, 2))
    >>> image.info["comment"] = b"a photo"
    >>> read_metadata(image, None, orientation=1).text
    ((b'iTXt', b'Comment\\x00\\x00\\x00\\x00\\x00a photo'),)
    """
    if path is not None and image.format == "PNG":
        return _upright(read_png_metadata(path), orientation)
    icc, exif, xmp = _info_bytes(image, "icc_profile"), _exif(image), _info_bytes(image, "xmp")
    if path is not None and image.format == "TIFF":
        metadata = read_tiff_metadata(path)
        return replace(metadata, icc=metadata.icc or icc)
    if path is not None and image.format == "BMP":
        icc = _bmp_profile(path)
    comment = _info_bytes(image, "comment")
    text = [comment_chunk(comment)] if comment else []
    if image.format == "PNG":
        texts = {str(name): value for name, value in image.info.items() if isinstance(value, str)}
        text += [text_chunk(name, value) for name, value in texts.items() if name.encode() not in (XMP, RAW_EXIF)]
    density = _format_density(image) or density_of_exif(exif)
    metadata = Metadata(icc, exif, xmp, density, _png_colour(image), tuple(text), _lost_segments(image))
    return _upright(metadata, orientation)


def read_tiff_metadata(path: Path) -> Metadata:
    """Metadata of a TIFF file, in the upright orientation.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (3, 2)).save(f"{folder}/grey.tif", dpi=(300, 300))
    ...     read_tiff_metadata(Path(folder, "grey.tif")).density
    (300.0, 300.0)
    """
    try:
        with path.open("rb") as file:
            tags = read_tags(file)
    except DamagedTagsError:
        return Metadata(lost=("EXIF, which is damaged",))
    icc, xmp = tags.values.get(_TIFF_ICC), tags.values.get(_TIFF_XMP)
    metadata = Metadata(
        icc=icc.content if icc else None,
        exif=tiff_to_exif(tags),
        xmp=xmp.content if xmp else None,
        density=density_of_tags(tags),
        lost=tuple(name for tag, name in _LOST_TIFF_TAGS.items() if tag in tags.values),
    )
    return _upright(metadata, tags.integer(ORIENTATION) or xmp_orientation(metadata.xmp or b"") or 1)


def _upright(metadata: Metadata, orientation: int) -> Metadata:
    """Exchange horizontal and vertical resolution where the orientation exchanges rows and columns."""
    if orientation not in (5, 6, 7, 8):
        return metadata
    density = metadata.density and (metadata.density[1], metadata.density[0])
    return replace(metadata, density=density, exif=metadata.exif and swap_resolution(metadata.exif))


def _info_bytes(image: Image.Image, name: str) -> bytes | None:
    """The bytes under a key of `info`; None for a str, which is a PNG text with the same keyword."""
    value = image.info.get(name)
    return value if value and isinstance(value, bytes) else None


def _format_density(image: Image.Image) -> Density | None:
    """The resolution that the format itself stores, outside EXIF."""
    if image.format in ("JPEG", "MPO"):  # Pillow's own "dpi" may be a guess
        unit, pixels = image.info.get("jfif_unit"), image.info.get("jfif_density")
        if unit not in (1, 2) or not isinstance(pixels, tuple):
            return None
        factor = 2.54 if unit == 2 else 1.0
        return valid_density(pixels[0] * factor, pixels[1] * factor)
    dpi = image.info.get("dpi")
    if not isinstance(dpi, Sequence) or len(dpi) != 2:
        return None
    try:
        horizontal, vertical = float(dpi[0]), float(dpi[1])
    except (TypeError, ValueError, ArithmeticError):
        return None
    if image.format == "BMP":  # 39.3701 is the factor that Pillow divides by
        horizontal, vertical = (per_metre_to_inch(round(pixels * 39.3701)) for pixels in (horizontal, vertical))
    return valid_density(horizontal, vertical)


def _exif(image: Image.Image) -> bytes | None:
    """The EXIF block as the file stores it. A PNG may store it as hexadecimal text, which Pillow decodes."""
    raw = _info_bytes(image, "exif")
    if not raw and RAW_EXIF.decode() in image.info:
        try:
            raw = image.getexif().tobytes()
        except DECODER_ERRORS:
            raw = None
    return strip_prefix(raw)


def _lost_segments(image: Image.Image) -> tuple[str, ...]:
    """Names of the metadata of a JPEG that is lost."""
    names: list[str] = []
    for marker, content in getattr(image, "applist", []):
        matches = (lost for name, start, lost in _JPEG_SEGMENTS if marker == name and content.startswith(start))
        if lost := next(matches, f"{marker} segment"):
            names.append(lost)
    return tuple(dict.fromkeys(names))


def _png_colour(image: Image.Image) -> tuple[Chunk, ...]:
    """Colour chunks of a PNG image in memory, from Pillow's `info`."""
    if image.format != "PNG":
        return ()
    chunks: list[Chunk] = []
    gamma, chromaticities, intent = (image.info.get(name) for name in ("gamma", "chromaticity", "srgb"))
    if isinstance(gamma, float):
        chunks.append((b"gAMA", struct.pack(">I", round(gamma * 100000))))
    if isinstance(chromaticities, tuple):
        chunks.append((b"cHRM", struct.pack(">8I", *(round(value * 100000) for value in chromaticities))))
    if isinstance(intent, int) and not image.info.get("icc_profile"):
        chunks.append((b"sRGB", struct.pack(">B", intent)))
    return tuple(chunks)


def _bmp_profile(path: Path) -> bytes | None:
    """The ICC profile of a BMP of version 5, which Pillow doesn't read."""
    with path.open("rb") as file:
        header = file.read(138)
        if len(header) < 138 or int.from_bytes(header[14:18], "little") < 124 or header[70:74] != b"DEBM":
            return None
        offset, size = struct.unpack_from("<II", header, 126)
        if size > MAX_BYTES:
            return None
        file.seek(14 + offset)
        profile = file.read(size)
    return profile if len(profile) == size else None
