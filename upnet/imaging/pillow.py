"""Convert Pillow images of any mode to `RasterImage`, and back."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from upnet.imaging.decoding import DECODER_ERRORS, apply_orientation, colour_key_to_alpha, decode, exif_orientation
from upnet.imaging.exif import EXIF_PREFIX
from upnet.imaging.image import Metadata, RasterImage
from upnet.imaging.image16 import bits_per_sample, raw_mode
from upnet.imaging.metadata import read_metadata
from upnet.imaging.png_chunks import keyword
from upnet.imaging.png_metadata import COMMENT, decode_text

# Pillow stretches grey of 2 and 4 bits to 8 bits, but not the grey value that is declared transparent.
_STRETCH_FACTOR = {"L;2": 85, "L;4": 17}
_RESERVED = frozenset({b"chromaticity", b"dpi", b"exif", b"gamma", b"icc_profile", b"srgb", b"transparency", b"xmp"})
"""Keys of Pillow's `info` that hold no PNG text."""


def from_pillow(image: Image.Image, samples16: np.ndarray | None = None, path: Path | None = None) -> RasterImage:
    """Convert a Pillow image of any mode, rotated upright.

    samples16: (H, W, C) uint16, its pixels with 16 bits where Pillow decodes only 8 of them, or None.
    path:      the file that it was opened from, or None.

    Raises UserError for floating point and 32-bit integers, and whatever Pillow's decoders raise.

    >>> from_pillow(Image.new("RGBA", (3, 2))).samples.shape
    (2, 3, 4)
    """
    factor = max((_STRETCH_FACTOR.get(raw_mode(tile), 1) for tile in getattr(image, "tile", [])), default=1)
    remarks = _frame_remarks(image)
    if image.mode == "CMYK":
        remarks += ("was read with 8 of its 16 bits, because it is CMYK",) if bits_per_sample(image) > 8 else ()
        remarks += ("was converted from CMYK to sRGB",)
    image.load()
    key = image.info.get("transparency")
    key = None if isinstance(key, str) else key  # a PNG text with that keyword
    samples = decode(image) if samples16 is None else samples16
    if key is not None and image.mode in ("1", "L", "I", "I;16", "RGB"):
        samples = colour_key_to_alpha(samples, np.atleast_1d(key) * factor)
    orientation = exif_orientation(image)
    if orientation is None:
        orientation, remarks = 1, (*remarks, "has damaged EXIF")
    metadata = read_metadata(image, path, orientation)
    if image.mode in ("CMYK", "LAB"):  # its profile doesn't describe RGB
        metadata = replace(metadata, icc=None, colour=())
    return upright_image(samples, metadata, orientation, remarks)


def to_pillow(image: RasterImage) -> Image.Image:
    """Convert to a Pillow image, with the metadata in its `info`.

    uint16 must have one channel, because Pillow has no 16-bit colour.

    >>> to_pillow(RasterImage(np.zeros((2, 3, 4), np.uint8))).mode
    'RGBA'
    """
    converted = Image.fromarray(image.samples)
    converted.info.update(pillow_info(image.metadata))
    return converted


def pillow_info(metadata: Metadata) -> dict[str, Any]:
    """Metadata under the keys that Pillow uses in `Image.info`.

    >>> pillow_info(Metadata(density=(300, 300)))
    {'dpi': (300, 300)}
    """
    info: dict[str, Any] = {}
    for key, text in ((keyword(chunk[1]), decode_text(chunk)) for chunk in metadata.text):
        if text is not None and key not in _RESERVED:
            info[key.decode("latin-1")] = text
            info |= {"comment": text.encode()} if key == COMMENT else {}
    colour = dict(metadata.colour)
    if gamma := colour.get(b"gAMA"):
        info["gamma"] = struct.unpack(">I", gamma)[0] / 100000
    if chromaticities := colour.get(b"cHRM"):
        info["chromaticity"] = tuple(value / 100000 for value in struct.unpack(">8I", chromaticities))
    if intent := colour.get(b"sRGB"):
        info["srgb"] = intent[0]
    exif = metadata.exif and EXIF_PREFIX + metadata.exif
    binary = {"icc_profile": metadata.icc, "exif": exif, "xmp": metadata.xmp, "dpi": metadata.density}
    return info | {name: value for name, value in binary.items() if value}


def upright_image(samples: np.ndarray, metadata: Metadata, orientation: int, remarks: tuple[str, ...]) -> RasterImage:
    """The image of pixels as stored, which get rotated, and of metadata that is already upright.

    samples:     (H, W) or (H, W, C).
    orientation: the EXIF orientation (1..8) of `samples`.
    remarks:     see `RasterImage`; a remark on the lost metadata is appended.

    >>> upright_image(np.zeros((2, 3), np.uint8), Metadata(), orientation=6, remarks=()).size
    (2, 3)
    """
    if metadata.lost:
        remarks = (*remarks, f"lost its {', '.join(metadata.lost)}")
    samples = apply_orientation(samples, orientation)
    samples = samples[..., 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    samples = np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("="))
    return RasterImage(samples, replace(metadata, lost=()), remarks)


def _frame_remarks(image: Image.Image) -> tuple[str, ...]:
    # The second frame of an MPO, a phone's photo, is a preview or a gain map, which isn't worth a remark.
    try:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except DECODER_ERRORS:
        return ()
    return (f"has {frames} frames, of which only the first is used",) if frames > 1 else ()
