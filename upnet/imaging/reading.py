"""Read image files: as 8-bit RGB for training, or with alpha, 16 bits and metadata for upscaling."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from upnet.imaging.decoding import DECODER_ERRORS, apply_orientation, decode_for_training, exif_orientation, to_rgb8
from upnet.imaging.image import RasterImage
from upnet.imaging.image16 import decode_16bit, has_16bit_colour, read_tiff_16bit
from upnet.imaging.metadata import read_tiff_metadata
from upnet.imaging.pillow import from_pillow, upright_image
from upnet.imaging.png_chunks import orientation_info, without_metadata
from upnet.utils.errors import UserError

_OPTIONAL = {"avif": (".avif",), "webp": (".webp",), "jpg_2000": (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc")}
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".tif", ".tiff", ".gif"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".qoi", ".pcx", ".sgi", ".ras", ".dds", ".psd"),
    *(suffix for codec, suffixes in _OPTIONAL.items() if features.check(codec) for suffix in suffixes),
)
"""Suffixes of still images that the installed Pillow reads, in lower case; upper case is accepted as well.

Icons, vector graphics, raw sensor data and formats that Pillow delegates to other programs (EPS, WMF) are excluded.
"""

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_pillow_limit_lock = Lock()


class BrokenImageError(UserError):
    """An image file that cannot be read; the message names the file and the reason."""


class UnsupportedLayoutError(BrokenImageError):
    """A TIFF that Pillow cannot read with all its bits; `read_tiff_16bit` may read it."""


def is_image_file(path: Path) -> bool:
    """Whether the file name has the suffix of an image. Hidden files, also those of macOS (`._x.png`), are excluded.

    >>> is_image_file(Path("a/photo.PNG")), is_image_file(Path("a/._photo.png"))
    (True, False)
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def read_rgb(path: str | Path, max_pixels: int | None = None) -> np.ndarray:
    """Read an image file as (H, W, 3) uint8, RGB in 0..255, upright.

    Grey is repeated in three channels, palettes are expanded, CMYK and Lab are converted, alpha is ignored, 16 bits
    become 8 (value / 257, rounded), and the EXIF orientation is applied. Of an animation the first frame is read.

    max_pixels: limit against decompression bombs, small files that decompress to huge images; None is Pillow's limit,
                twice `PIL.Image.MAX_IMAGE_PIXELS`, 178 956 970 unless the caller changed it.

    Raises BrokenImageError where the file is missing, unreadable, truncated or larger than `max_pixels`, and where its
    pixels are floating point or 32-bit integers, whose white level is not defined.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (3, 2)).save(f"{folder}/grey.png")
    ...     read_rgb(f"{folder}/grey.png").shape
    (2, 3, 3)
    """
    path = Path(path)
    try:
        with open_image(path, max_pixels) as image:
            samples = _decode_if_16bit(path, image)
            samples = to_rgb8(decode_for_training(image) if samples is None else samples)
            orientation = exif_orientation(image) or 1
    except UnsupportedLayoutError:
        with broken_image_errors(path):
            samples, orientation = read_tiff_16bit(path, partial(check_pixel_count, max_pixels=max_pixels))
            samples = to_rgb8(samples)
    return np.ascontiguousarray(apply_orientation(samples, orientation))


def read_image(path: str | Path, max_pixels: int | None = None) -> RasterImage:
    """Read an image file with its alpha, its bit depth (8 or 16) and its metadata, upright.

    Palettes are expanded; transparency of any kind becomes alpha. CMYK becomes sRGB, by the ICC profile where there is
    one; Lab becomes RGB. Of several frames the first is read.

    max_pixels: see `read_rgb`.

    Raises BrokenImageError as `read_rgb` does.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("LA", (3, 2)).save(f"{folder}/grey.png", dpi=(300, 300))
    ...     image = read_image(f"{folder}/grey.png")
    >>> image.samples.shape, image.metadata.density
    ((2, 3, 2), (300.0, 300.0))
    """
    path = Path(path)
    try:
        with open_image(path, max_pixels) as image:
            return from_pillow(image, _decode_if_16bit(path, image), path)
    except UnsupportedLayoutError:
        with broken_image_errors(path):
            samples, orientation = read_tiff_16bit(path, partial(check_pixel_count, max_pixels=max_pixels))
            return upright_image(samples, read_tiff_metadata(path), orientation, ())


@contextmanager
def open_image(path: Path, max_pixels: int | None = None) -> Iterator[Image.Image]:
    """Open a file with Pillow; errors inside the context become a BrokenImageError that names the file.

    Raises UnsupportedLayoutError for a TIFF of a layout that Pillow doesn't know.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (3, 2)).save(f"{folder}/grey.png")
    ...     with open_image(Path(folder, "grey.png")) as image:
    ...         image.mode, image.size
    ('L', (3, 2))
    """
    with broken_image_errors(path), ExitStack() as stack:
        try:
            source = stack.enter_context(without_metadata(path))
            image = _open_with_limit(source, max_pixels)
        except UnidentifiedImageError as error:
            with path.open("rb") as file:
                is_tiff = file.read(4) in _TIFF_SIGNATURES
            error_class = UnsupportedLayoutError if is_tiff else BrokenImageError
            raise error_class(_problem(path, "its format is unknown")) from error
        with image:
            if source is not path:
                image.info.update(orientation_info(path))
            yield image


@contextmanager
def broken_image_errors(path: Path) -> Iterator[None]:
    """Convert the errors of decoders into a BrokenImageError that names the file.

    >>> with broken_image_errors(Path("a.png")):
    ...     raise OSError("image file is truncated")
    Traceback (most recent call last):
    upnet.imaging.reading.BrokenImageError: a.png cannot be read as an image: image file is truncated
    """
    try:
        yield
    except BrokenImageError:
        raise
    except UserError as error:
        raise BrokenImageError(_problem(path, error.problem), cure=error.cure) from error
    except FileNotFoundError as error:
        raise BrokenImageError(_problem(path, "there is no such file")) from error
    except MemoryError as error:
        raise BrokenImageError(_problem(path, "it does not fit into memory")) from error
    except DECODER_ERRORS as error:
        # The decoder's message on one line; the error's name where there is none.
        raise BrokenImageError(_problem(path, " ".join(str(error).split()) or type(error).__name__)) from error


def check_pixel_count(width: int, height: int, max_pixels: int | None) -> None:
    """Raise UserError for more than `max_pixels` pixels; None is twice `PIL.Image.MAX_IMAGE_PIXELS`.

    >>> check_pixel_count(20, 30, max_pixels=600)
    """
    if max_pixels is None and Image.MAX_IMAGE_PIXELS is not None:
        max_pixels = 2 * Image.MAX_IMAGE_PIXELS
    if max_pixels is not None and width * height > max_pixels:
        raise UserError(
            f"it has {width}×{height} = {width * height} pixels, more than max_pixels={max_pixels}",
            cure="Raise max_pixels= if you trust the file",
        )


def _problem(path: Path, reason: str) -> str:
    return f"{path} cannot be read as an image: {reason}"


def _open_with_limit(source: Path | BinaryIO, max_pixels: int | None) -> Image.Image:
    # Pillow's limit is a global variable; it is disabled while the file is opened, and ours is checked right after.
    with _pillow_limit_lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = before
    try:
        check_pixel_count(*image.size, max_pixels)
    except UserError:
        image.close()
        raise
    return image


def _decode_if_16bit(path: Path, image: Image.Image) -> np.ndarray | None:
    """The pixels of a file with 16-bit colour, (H, W, C) uint16; None for other files.

    Raises UnsupportedLayoutError where Pillow doesn't return all bits.
    """
    if not has_16bit_colour(image):
        return None
    samples = decode_16bit(path, image)
    if samples is None:
        raise UnsupportedLayoutError(_problem(path, "its layout is not supported"))
    return samples
