"""Read image files of any colour mode, with 8 or 16 bits: as RGB for training, or complete with alpha and metadata."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from upnet.imaging.image import Metadata, RasterImage
from upnet.imaging.image16 import bits_per_sample, decode_16bit, has_16bit_colour, raw_mode, read_tiff_16bit, to_8bit
from upnet.imaging.metadata import DECODER_ERRORS, pillow_info, read_metadata, read_tiff_metadata
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

_EXIF_ORIENTATION = 0x0112
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Pillow stretches grey of 2 and 4 bits to 8 bits, but not the value that stands for transparent.
_STRETCH_FACTOR = {"L;2": 85, "L;4": 17}
_pillow_limit_lock = Lock()


class BrokenImageError(UserError):
    """An image file that cannot be read; the message names the file and the reason."""


class UnsupportedLayoutError(BrokenImageError):
    """A TIFF that Pillow can't read, or not with all its bits; `read_tiff_16bit` may read it."""


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
    pixels are floating point or 32-bit integers, which have no agreed white.
    """
    path = Path(path)
    try:
        with open_image(path, max_pixels) as image:
            samples = _decode_all_bits(path, image)
            samples = _to_rgb8(_decode_rgb(image) if samples is None else samples)
            orientation = exif_orientation(image) or 1
    except UnsupportedLayoutError:
        with broken_image_errors(path):
            samples, orientation = read_tiff_16bit(
                path, lambda width, height: check_pixel_count(width, height, max_pixels)
            )
            samples = _to_rgb8(samples)
    return np.ascontiguousarray(apply_orientation(samples, orientation))


def read_image(path: str | Path, max_pixels: int | None = None) -> RasterImage:
    """Read an image file with its alpha, its bit depth (8 or 16) and its metadata, upright.

    Palettes are expanded; transparency of any kind becomes alpha. CMYK becomes sRGB, by the ICC profile where there is
    one; Lab becomes RGB. Of several frames the first is read.

    max_pixels: see `read_rgb`.

    Raises BrokenImageError as `read_rgb` does.
    """
    path = Path(path)
    try:
        with open_image(path, max_pixels) as image:
            return from_pillow(image, _decode_all_bits(path, image), path)
    except UnsupportedLayoutError:
        with broken_image_errors(path):
            samples, orientation = read_tiff_16bit(
                path, lambda width, height: check_pixel_count(width, height, max_pixels)
            )
            return _upright_image(samples, read_tiff_metadata(path), orientation, ())


def from_pillow(image: Image.Image, samples16: np.ndarray | None = None, path: Path | None = None) -> RasterImage:
    """Convert a Pillow image of any mode, upright.

    samples16: (H, W, C) uint16, its pixels with 16 bits where Pillow decodes only 8 of them, or None.
    path:      the file that it was opened from, or None.

    Raises UserError for pixels of 32 bits, and whatever Pillow's decoders raise.

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
    samples = _decode(image) if samples16 is None else samples16
    if key is not None and image.mode in ("1", "L", "I", "I;16", "RGB"):
        samples = _colour_key_to_alpha(samples, np.atleast_1d(key) * factor)
    orientation = exif_orientation(image)
    if orientation is None:
        orientation, remarks = 1, (*remarks, "has damaged EXIF")
    metadata = read_metadata(image, path, orientation)
    if image.mode in ("CMYK", "LAB"):  # its profile doesn't describe RGB
        metadata = replace(metadata, icc=None, colour=())
    return _upright_image(samples, metadata, orientation, remarks)


def to_pillow(image: RasterImage) -> Image.Image:
    """Convert to a Pillow image, with the metadata in its `info`.

    uint16 must have one channel, because Pillow has no 16-bit colour.

    >>> to_pillow(RasterImage(np.zeros((2, 3, 4), np.uint8))).mode
    'RGBA'
    """
    converted = Image.fromarray(image.samples)
    converted.info.update(pillow_info(image.metadata))
    return converted


@contextmanager
def open_image(path: Path, max_pixels: int | None = None) -> Iterator[Image.Image]:
    """Open a file by Pillow; errors inside the context become a BrokenImageError that names the file.

    Raises UnsupportedLayoutError for a TIFF of a layout that Pillow doesn't know.
    """
    with broken_image_errors(path), ExitStack() as stack:
        try:
            source = stack.enter_context(without_metadata(path))
            image = _open_with_limit(source, max_pixels)
        except UnidentifiedImageError as error:
            with path.open("rb") as file:
                is_tiff = file.read(4) in _TIFF_SIGNATURES
            kind = UnsupportedLayoutError if is_tiff else BrokenImageError
            raise kind(_problem(path, "its content has no known format")) from error
        with image:
            if source is not path:
                image.info.update(orientation_info(path))
            yield image


@contextmanager
def broken_image_errors(path: Path) -> Iterator[None]:
    """Convert the errors of decoders into a BrokenImageError that names the file."""
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
    """Raise UserError for more than `max_pixels` pixels; None is twice `PIL.Image.MAX_IMAGE_PIXELS`."""
    if max_pixels is None and Image.MAX_IMAGE_PIXELS is not None:
        max_pixels = 2 * Image.MAX_IMAGE_PIXELS
    if max_pixels is not None and width * height > max_pixels:
        raise UserError(
            f"it has {width}×{height} = {width * height} pixels, and max_pixels={max_pixels} allows no more",
            cure="Raise max_pixels= if you trust the file",
        )


def exif_orientation(image: Image.Image) -> int | None:
    """The EXIF orientation of the stored pixels, 1 where there is none; None where EXIF is damaged."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except DECODER_ERRORS:
        return None


def apply_orientation(samples: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels, (H, W, ...), upright by the EXIF orientation (1..8); other values change nothing.

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


def _problem(path: Path, reason: str) -> str:
    return f"{path} cannot be read as an image: {reason}"


def _open_with_limit(source: Path | BinaryIO, max_pixels: int | None) -> Image.Image:
    # Pillow's limit is global and applies while a file is opened; ours is checked right after.
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


def _decode_all_bits(path: Path, image: Image.Image) -> np.ndarray | None:
    """(H, W, C) uint16 of a file with 16-bit colour; None for other files. Raises UnsupportedLayoutError."""
    if not has_16bit_colour(image):
        return None
    samples = decode_16bit(path, image)
    if samples is None:
        raise UnsupportedLayoutError(_problem(path, "its layout is not supported"))
    return samples


def _decode_rgb(image: Image.Image) -> np.ndarray:
    """As `_decode`, but CMYK profiles are ignored, and 32-bit integers are rejected whatever their range."""
    image.load()
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        _reject_32bit(image)
    return _decode(image.convert("RGB") if image.mode == "CMYK" else image)


def _decode(image: Image.Image) -> np.ndarray:
    """Pixels of a loaded image: (H, W) grey, (H, W, 2), RGB (H, W, 3) or (H, W, 4), uint8 or uint16."""
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image)
    if mode == "I":  # Pillow's mode for 16-bit PGM, and for 16-bit grey PNG in older versions
        values = np.asarray(image)
        if image.format in ("PNG", "PPM") or (values.min() >= 0 and 255 < values.max() < 2**16):
            return values.astype(np.uint16)
    _reject_32bit(image)
    if mode == "CMYK":
        image = _cmyk_to_srgb(image)
    transparent = mode in ("LA", "PA", "La", "RGBA", "RGBa") or (mode == "P" and image.has_transparency_data)
    grey = mode in ("1", "L", "LA", "La")
    target = ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
    return np.asarray(image if image.mode == target else image.convert(target))


def _reject_32bit(image: Image.Image) -> None:
    if image.mode in ("I", "F"):
        raise UserError(
            f"pixels of 32 bits (mode {image.mode}) have no agreed white", cure="Save it with 8 or 16 bits per channel"
        )


def _to_rgb8(samples: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C), uint8 or uint16, grey or RGB, with or without alpha -> (H, W, 3) uint8."""
    planes = samples[..., None] if samples.ndim == 2 else samples
    colour = planes[..., :3] if planes.shape[2] > 2 else planes[..., :1]
    colour = colour if colour.dtype == np.uint8 else to_8bit(colour)
    return colour if colour.shape[2] == 3 else np.repeat(colour, 3, axis=-1)


def _upright_image(samples: np.ndarray, metadata: Metadata, orientation: int, remarks: tuple[str, ...]) -> RasterImage:
    """An image of stored pixels and upright metadata."""
    if metadata.lost:
        remarks = (*remarks, f"lost its {', '.join(metadata.lost)}")
    pixels = apply_orientation(samples, orientation)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    return RasterImage(pixels, replace(metadata, lost=()), remarks)


def _colour_key_to_alpha(samples: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Add alpha, 0 where a pixel has the colour that stands for transparent.

    samples: (H, W) or (H, W, 3). key: one value per channel.
    """
    planes = samples[..., None] if samples.ndim == 2 else samples
    opaque = np.iinfo(samples.dtype).max
    alpha = np.where((planes == key).all(axis=-1, keepdims=True), 0, opaque).astype(samples.dtype)
    return np.concatenate((planes, alpha), axis=-1)


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


def _frame_remarks(image: Image.Image) -> tuple[str, ...]:
    # The second frame of an MPO, a phone's photo, is a preview or a gain map, which isn't worth a remark.
    try:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except DECODER_ERRORS:
        return ()
    return (f"has {frames} frames, of which the first was taken",) if frames > 1 else ()
