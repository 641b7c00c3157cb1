"""Read a picture file as (H, W, 3) uint8, whatever its colour mode and bit depth."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from upnet.imaging.image16 import is_deep, read_deep, read_wide, to_eight
from upnet.imaging.png_chunks import orientation_info, pixels_of

_OPTIONAL = {"avif": (".avif",), "webp": (".webp",), "jpg_2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc")}
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".tif", ".tiff", ".gif"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".qoi", ".pcx", ".sgi", ".ras", ".dds", ".psd"),
    *(suffix for codec, suffixes in _OPTIONAL.items() if features.check(codec) for suffix in suffixes),
)
"""Endings of still images that the installed Pillow reads, in lower case; upper case is understood as well.

Icons, vector graphics, raw sensor data and what Pillow hands to other programs (EPS, WMF) are not among them.
"""

EXIF_ORIENTATION = 0x0112

# What Pillow's plugins raise on damaged data, beside OSError: they parse before they check.
DAMAGE = (
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

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_lock = Lock()


class BrokenImageError(ValueError):
    """A picture file that cannot be read; the message names it."""


class UnsupportedLayoutError(BrokenImageError):
    """A TIFF that Pillow can't read, or not with all its bits; `read_wide` may."""


def is_image_file(path: Path) -> bool:
    """Whether the file name ends like a picture's; hidden files and leftovers of macOS (`._x.png`) don't count."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_rgb(path: str | Path, max_pixels: int | None = None) -> np.ndarray:
    """The picture as (H, W, 3) uint8, RGB in 0..255, upright.

    Grey is repeated into three channels, palettes are expanded, CMYK and Lab are converted, alpha is ignored, 16 bits
    become 8 (value / 257, rounded), and the EXIF orientation is applied. Of an animation it is the first frame.

    max_pixels: a limit against decompression bombs, small files that unpack to something huge; None is Pillow's,
                twice `PIL.Image.MAX_IMAGE_PIXELS`, which is 178 956 970 unless somebody changed it.

    Raises BrokenImageError, a ValueError that names the file, where it is missing, unreadable or truncated, where its
    pixels are floats or 32-bit integers, which have no agreed white, and where it has more pixels than allowed.
    """
    path = Path(path)
    try:
        with open_image(path, max_pixels) as image:
            if is_deep(image):
                deep = read_deep(path, image)
                if deep is None:
                    raise UnsupportedLayoutError(path)
                pixels = _to_rgb(deep)
            else:
                pixels = _decode(image)
            turn = orientation(image) or 1
    except UnsupportedLayoutError:
        with named(path):
            deep, turn = read_wide(path, lambda width, height: check_size(width, height, max_pixels))
            pixels = _to_rgb(deep)
    return np.ascontiguousarray(upright(pixels, turn))


@contextmanager
def open_image(path: Path, max_pixels: int | None = None) -> Iterator[Image.Image]:
    """The file opened by Pillow, and whatever goes wrong with it then told as a BrokenImageError that names it.

    Raises UnsupportedLayoutError where it is a TIFF of a kind that Pillow doesn't know.
    """
    with named(path), ExitStack() as stack:
        try:
            source = stack.enter_context(pixels_of(path))
            image = _open(source, max_pixels)
        except UnidentifiedImageError as error:
            with path.open("rb") as file:
                known = file.read(4) in _TIFF
            told = f"{path} cannot be read as a picture: its content is of no known format"
            raise (UnsupportedLayoutError if known else BrokenImageError)(told) from error
        with image:
            if source is not path:
                image.info.update(orientation_info(path))
            yield image


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Tell whatever damaged data makes a decoder raise as a BrokenImageError that names the file."""
    try:
        yield
    except BrokenImageError:
        raise
    except FileNotFoundError as error:
        raise BrokenImageError(f"{path} cannot be read as a picture: there is no such file") from error
    except MemoryError as error:
        raise BrokenImageError(f"{path} cannot be read as a picture: it does not fit into memory") from error
    except DAMAGE as error:
        raise BrokenImageError(f"{path} cannot be read as a picture: {_reason(error)}") from error


def check_size(width: int, height: int, max_pixels: int | None) -> None:
    """Raise ValueError where there are more pixels than max_pixels; None is twice `PIL.Image.MAX_IMAGE_PIXELS`."""
    if max_pixels is None and Image.MAX_IMAGE_PIXELS is not None:
        max_pixels = 2 * Image.MAX_IMAGE_PIXELS
    if max_pixels is not None and width * height > max_pixels:
        raise ValueError(
            f"it has {width}×{height} = {width * height} pixels, and max_pixels={max_pixels} allows no more than that; "
            "raise max_pixels= if you trust it"
        )


def orientation(image: Image.Image) -> int | None:
    """The EXIF orientation tag, 1 where there is none; None where the EXIF is damaged."""
    try:
        return image.getexif().get(EXIF_ORIENTATION, 1)
    except DAMAGE:
        return None


def upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Undo what the EXIF orientation tag (1..8) says the camera did; other values leave the picture as it is."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _open(source: Path | BinaryIO, max_pixels: int | None) -> Image.Image:
    # Pillow's own limit is one for the whole process, and asked while a file is opened; ours is asked right after.
    with _lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    try:
        check_size(*image.size, max_pixels)
    except ValueError:
        image.close()
        raise
    return image


def _reason(error: BaseException) -> str:
    """The decoder's own words on one line; the name of the error where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _decode(image: Image.Image) -> np.ndarray:
    """(H, W, 3) uint8 by Pillow alone."""
    image.load()
    mode = image.mode
    # Older Pillow opens 16-bit grey PNG as I, and every Pillow opens 16-bit PGM so, scaled to 0..65535.
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        return _to_rgb(np.asarray(image)[..., None])
    refuse_without_white(image)
    if mode == "La" or mode == "RGBa":  # premultiplied alpha, which has to be divided out first
        image = image.convert("LA" if mode == "La" else "RGBA")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def refuse_without_white(image: Image.Image) -> None:
    """Raise ValueError for pixels of which nobody has said what is white."""
    if image.mode in ("I", "F"):
        raise ValueError(
            f"pixels of 32 bits (mode {image.mode}) have no agreed white: save it with 8 or 16 bits per channel"
        )


def _to_rgb(deep: np.ndarray) -> np.ndarray:
    """(H, W, 1 to 4) of values in 0..65535 -> (H, W, 3) uint8."""
    shallow = to_eight(deep[..., :3] if deep.shape[2] > 2 else deep[..., :1])
    return shallow if shallow.shape[2] == 3 else np.repeat(shallow, 3, axis=-1)
