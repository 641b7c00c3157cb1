"""Decode the pixels of an image that Pillow has opened, whatever its colour mode, and apply its EXIF orientation."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from upnet.imaging.ifd import ORIENTATION
from upnet.imaging.image16 import to_8bit
from upnet.utils.errors import UserError

# What Pillow's plugins raise on damaged data in addition to OSError.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    SystemError,
    struct.error,
    zlib.error,
)

_16BIT_FORMATS = ("PNG", "PPM")
"""Formats whose images of mode I have 16 bits: PGM, and grey PNG in older versions of Pillow."""


def decode(image: Image.Image) -> np.ndarray:
    """The pixels of a loaded image as (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha.

    Returns uint8, or uint16 for 16-bit grey. CMYK becomes sRGB, by the ICC profile where it is usable. Raises UserError
    for floating point and 32-bit integers.

    >>> decode(Image.new("CMYK", (3, 2))).tolist()[0][0]
    [255, 255, 255]
    """
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image)
    if mode == "I":
        values = np.asarray(image)
        if image.format in _16BIT_FORMATS or (values.min() >= 0 and 255 < values.max() < 2**16):
            return values.astype(np.uint16)
    _reject_32bit(image)
    if mode == "CMYK":
        image = _cmyk_to_srgb(image)
    transparent = mode in ("LA", "PA", "La", "RGBA", "RGBa") or (mode == "P" and image.has_transparency_data)
    grey = mode in ("1", "L", "LA", "La")
    target = ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
    return np.asarray(image if image.mode == target else image.convert(target))


def decode_for_training(image: Image.Image) -> np.ndarray:
    """As `decode`, but CMYK profiles are ignored, and 32-bit integers are rejected whatever their range.

    >>> decode_for_training(Image.new("CMYK", (3, 2))).shape
    (2, 3, 3)
    """
    image.load()
    if image.mode == "I" and image.format not in _16BIT_FORMATS:
        _reject_32bit(image)
    return decode(image.convert("RGB") if image.mode == "CMYK" else image)


def to_rgb8(samples: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C), uint8 or uint16, grey or RGB, with or without alpha -> (H, W, 3) uint8.

    >>> to_rgb8(np.array([[0, 65535]], np.uint16)).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    channels = samples[..., None] if samples.ndim == 2 else samples
    colour = channels[..., :3] if channels.shape[2] > 2 else channels[..., :1]
    colour = colour if colour.dtype == np.uint8 else to_8bit(colour)
    return colour if colour.shape[2] == 3 else np.repeat(colour, 3, axis=-1)


def colour_key_to_alpha(samples: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Append an alpha channel: 0 where a pixel has the colour that the file declares transparent, else the maximum.

    samples: (H, W) or (H, W, 3) integers.
    key:     the transparent colour, one value per channel.

    Returns (H, W, 2) or (H, W, 4) of the same dtype.

    >>> colour_key_to_alpha(np.array([[7, 8]], np.uint8), np.array([7])).tolist()
    [[[7, 0], [8, 255]]]
    """
    channels = samples[..., None] if samples.ndim == 2 else samples
    opaque = np.iinfo(samples.dtype).max
    alpha = np.where((channels == key).all(axis=-1, keepdims=True), 0, opaque).astype(samples.dtype)
    return np.concatenate((channels, alpha), axis=-1)


def exif_orientation(image: Image.Image) -> int | None:
    """The EXIF orientation of the stored pixels, 1 where there is none; None where EXIF is damaged.

    >>> exif_orientation(Image.new("L", (3, 2)))
    1
    """
    try:
        return image.getexif().get(ORIENTATION, 1)
    except DECODER_ERRORS:
        return None


def apply_orientation(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate and mirror stored pixels, (H, W, ...), by the EXIF orientation (1..8); other values change nothing.

    >>> apply_orientation(np.array([[1, 2, 3]]), 6).tolist()
    [[1], [2], [3]]
    """
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _reject_32bit(image: Image.Image) -> None:
    if image.mode in ("I", "F"):
        raise UserError(
            f"pixels of 32 bits (mode {image.mode}) have no defined white level",
            cure="Save it with 8 or 16 bits per channel",
        )


def _cmyk_to_srgb(image: Image.Image) -> Image.Image:
    """CMYK to sRGB, by its ICC profile where that is usable."""
    profile = image.info.get("icc_profile")
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ImportError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")
