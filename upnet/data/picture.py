"""Read a picture file as (H, W, 3) uint8, whatever its colour mode and bit depth."""

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""File name endings that count as pictures, in lower case; upper case is understood as well."""

EXIF_ORIENTATION = 0x0112
_BITS_PER_SAMPLE = 258

# How Pillow is told to take the bytes of 16-bit channels -> how it takes the lower byte of each.
_LOWER = {f"{mode};16{order}": f"{mode};16{other}" for mode in ("RGB", "RGBA") for order, other in ("BL", "LB")}
_LOWER |= {f"{mode};16N": f"{mode};16{'B' if sys.byteorder == 'little' else 'L'}" for mode in ("RGB", "RGBA")}
_LOWER["LA;16B"] = "RGBA"

# What Pillow's plugins raise on damaged data, beside OSError: they parse before they check.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class BrokenPictureError(ValueError):
    """A picture file that cannot be read; the message names it."""


def is_picture(path: Path) -> bool:
    """Whether the file name ends like a picture's; hidden files and leftovers of macOS (`._x.png`) don't count."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_rgb(path: str | Path) -> np.ndarray:
    """The picture as (H, W, 3) uint8, RGB in 0..255, upright.

    Grey is repeated into three channels, palettes are expanded, CMYK and Lab are converted, alpha is ignored, 16 bits
    become 8 (value / 257, rounded), and the EXIF orientation is applied. Of an animation it is the first frame.

    Raises BrokenPictureError, a ValueError that names the file, where it is missing, unreadable or truncated, where its
    pixels are floats or 32-bit integers, which have no agreed white, and where it exceeds Pillow's limit against
    decompression bombs (`PIL.Image.MAX_IMAGE_PIXELS`, which may be raised).
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            pixels = _decode_deep(path, image) if _is_deep(image) else _decode(image)
            turn = image.getexif().get(EXIF_ORIENTATION, 1)
    except UnidentifiedImageError as error:
        raise BrokenPictureError(f"{path} cannot be read as a picture: its content is of no known format") from error
    except FileNotFoundError as error:
        raise BrokenPictureError(f"{path} cannot be read as a picture: there is no such file") from error
    except MemoryError as error:
        raise BrokenPictureError(f"{path} cannot be read as a picture: it does not fit into memory") from error
    except _DAMAGE as error:
        raise BrokenPictureError(f"{path} cannot be read as a picture: {_reason(error)}") from error
    return np.ascontiguousarray(_upright(pixels, turn))


def _reason(error: BaseException) -> str:
    """The decoder's own words on one line; the name of the error where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _decode(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 by Pillow alone."""
    image.load()
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format == "PNG"):  # older Pillow opens 16-bit grey PNG as I
        return _to_rgb(np.asarray(image))
    if mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (mode {mode}) have no agreed white: save it with 8 or 16 bits per channel")
    if mode == "La" or mode == "RGBa":  # premultiplied alpha, which has to be divided out first
        image = image.convert("LA" if mode == "La" else "RGBA")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _is_deep(image: Image.Image) -> bool:
    """Whether the file has 16 bits in several channels, of which Pillow silently keeps the upper 8."""
    if image.mode not in ("RGB", "RGBA"):
        return False
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))  # of TIFF
    return max(bits) > 8 or any(";16" in _raw_mode(tile[3]) for tile in getattr(image, "tile", []))


def _decode_deep(path: Path, image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 of a file with 16 bits in several channels: its upper bytes, and in a second pass the lower."""
    modes = {_raw_mode(tile[3]) for tile in getattr(image, "tile", [])}
    if not modes or not modes <= _LOWER.keys():
        raise ValueError("16 bits in several channels are read from this kind of file with loss only: save it as PNG")
    image.load()
    upper = np.asarray(image)
    with Image.open(path) as again:
        # Told that the bytes stand in the other order, Pillow keeps those that it dropped.
        setattr(again, "tile", [_told(tile, _LOWER[_raw_mode(tile[3])]) for tile in getattr(again, "tile", [])])  # noqa: B010
        again.load()
        lower = np.asarray(again)
    if modes == {"LA;16B"}:  # read as RGBA the bytes are: grey upper, grey lower, alpha upper, alpha lower
        return _to_rgb(lower[..., 0] * np.uint32(256) + lower[..., 1])
    return _to_rgb(upper[..., :3] * np.uint32(256) + lower[..., :3])


def _raw_mode(arguments: Any) -> str:
    """How the bytes of a tile are to be taken, as Pillow's decoders are told."""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _told(tile: Any, raw_mode: str) -> Any:
    """The same tile, its bytes to be taken in another way."""
    arguments = (raw_mode, *tile[3][1:]) if isinstance(tile[3], tuple) else raw_mode
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _to_rgb(deep: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) of values in 0..65535 -> (H, W, 3) uint8."""
    shallow = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)  # the nearest of 0..255: 257 * 255 = 65535
    return shallow if shallow.ndim == 3 else np.repeat(shallow[..., None], 3, axis=-1)


def _upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Undo what the EXIF orientation tag (1..8) says the camera did; other values leave the picture as it is."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
