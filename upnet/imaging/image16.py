"""Decode 16-bit colour, of which Pillow keeps only the upper 8 bits, and convert 16 bits to 8."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from upnet.imaging.ifd import ORIENTATION
from upnet.imaging.png_chunks import without_metadata
from upnet.utils.errors import UserError

_BITS_PER_SAMPLE = 258
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # photometric interpretations of TIFF
_PREMULTIPLIED, _STRAIGHT = 1, 2  # kinds of alpha (ExtraSamples) of TIFF

# Pillow's raw mode for 16-bit channels, which drops the lower byte -> the raw mode that drops the upper byte instead.
_LOWER_BYTES = {f"{mode};16{order}": f"{mode};16{other}" for mode in ("RGB", "RGBA") for order, other in ("BL", "LB")}
_LOWER_BYTES |= {f"{mode};16N": f"{mode};16{'B' if sys.byteorder == 'little' else 'L'}" for mode in ("RGB", "RGBA")}
_LOWER_BYTES["LA;16B"] = "RGBA"


def has_16bit_colour(image: Image.Image) -> bool:
    """Whether an opened, not yet loaded file has several channels of 16 bits; Pillow reads a single one correctly.

    >>> has_16bit_colour(Image.new("RGB", (3, 2)))
    False
    """
    if image.mode not in ("RGB", "RGBA"):
        return False
    return bits_per_sample(image) > 8 or any(";16" in raw_mode(tile) for tile in getattr(image, "tile", []))


def bits_per_sample(image: Image.Image) -> int:
    """The BitsPerSample tag of a TIFF; 8 for other files.

    >>> bits_per_sample(Image.new("RGB", (3, 2)))
    8
    """
    return int(max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))))


def decode_16bit(path: Path, image: Image.Image) -> np.ndarray | None:
    """Decode 16-bit colour by decoding twice with Pillow: first the upper bytes, then the lower bytes.

    path:  the image file.
    image: the same file, opened and not yet loaded.

    Returns (H, W, C) uint16, not rotated; C is 2 for grey and alpha, 3 for RGB, 4 for RGBA. Returns None where Pillow
    cannot decode all bits.
    """
    modes = {raw_mode(tile) for tile in getattr(image, "tile", [])}
    if not modes or not modes <= _LOWER_BYTES.keys():
        return None
    image.load()
    upper = np.asarray(image)
    with without_metadata(path) as source, Image.open(source) as second:
        # With the opposite byte order Pillow keeps the bytes that it dropped in the first pass.
        tiles = [_with_raw_mode(tile, _LOWER_BYTES[raw_mode(tile)]) for tile in getattr(second, "tile", [])]
        setattr(second, "tile", tiles)  # noqa: B010
        second.load()
        lower = np.asarray(second)
    if modes == {"LA;16B"}:  # decoded as RGBA: grey upper, grey lower, alpha upper, alpha lower
        upper, lower = lower[..., 0::2], lower[..., 1::2]
    samples = upper.astype(np.uint16)
    samples <<= 8
    samples |= lower
    return samples


def read_tiff_16bit(path: Path, check_size: Callable[[int, int], None]) -> tuple[np.ndarray, int]:
    """Read a 16-bit TIFF that Pillow doesn't support, with tifffile.

    check_size: called with width and height before decoding; may raise.

    Supports separate colour planes, grey with alpha, and premultiplied colours, which are divided by alpha. Returns the
    pixels, (H, W, C) uint16, not rotated, and their EXIF orientation. Raises UserError for other files, and for
    compressions that tifffile cannot decode without further libraries.

    >>> import tempfile
    >>> import tifffile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tifffile.imwrite(f"{folder}/rgb.tif", np.zeros((2, 4, 3), np.uint16), photometric="rgb")
    ...     samples, orientation = read_tiff_16bit(Path(folder, "rgb.tif"), check_size=lambda width, height: None)
    >>> samples.shape, orientation
    ((2, 4, 3), 1)
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # the errors below describe the problem
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            check_size(page.imagewidth, page.imagelength)
            if page.dtype != np.uint16 or page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
                raise _unsupported_layout()
            planes = np.asarray(page.asarray())
            planes = np.moveaxis(planes, page.axes.index("S"), -1) if "S" in page.axes else planes[..., None]
            tag = page.tags.get(ORIENTATION)
            orientation = int(tag.value) if tag else 1
            extra_samples = tuple(int(kind) for kind in page.extrasamples)
    except tifffile.TiffFileError as error:
        raise UserError(f"the TIFF is damaged: {error}") from error
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise UserError("this compression of a 16-bit TIFF is not supported", cure="Save it as PNG") from error
    colours = 3 if page.photometric == _RGB else 1
    if planes.ndim != 3 or planes.shape[2] < colours:
        raise _unsupported_layout()
    colour = planes[..., :colours] if page.photometric != _WHITE_IS_ZERO else np.invert(planes[..., :colours])
    alpha_kind = extra_samples[0] if extra_samples else _STRAIGHT  # the default of Pillow
    if planes.shape[2] == colours or alpha_kind not in (_PREMULTIPLIED, _STRAIGHT):
        return np.ascontiguousarray(colour), orientation
    alpha = planes[..., colours : colours + 1]
    colour = _divide_by_alpha(colour, alpha) if alpha_kind == _PREMULTIPLIED else colour
    return np.concatenate((colour, alpha), axis=-1), orientation


def raw_mode(tile: Any) -> str:
    """Pillow's raw mode of a tile: how its decoder unpacks bytes.

    >>> raw_mode(("raw", (0, 0, 3, 2), 8, ("RGB;16B", 0, 1)))
    'RGB;16B'
    """
    return str(tile[3][0] if isinstance(tile[3], tuple) else tile[3])


def to_8bit(samples: np.ndarray) -> np.ndarray:
    """Convert 16-bit integers to 8 bits, uint8: value / 257 rounded to nearest, because 257 · 255 = 65535.

    >>> to_8bit(np.array([0, 128, 129, 65535]))
    array([  0,   0,   1, 255], dtype=uint8)
    """
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _unsupported_layout() -> UserError:
    return UserError("this layout of a 16-bit TIFF is not supported", cure="Save it as PNG")


def _divide_by_alpha(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo the multiplication by alpha; black where alpha is 0.

    colour: (H, W, C) uint16. alpha: (H, W, 1) uint16.
    """
    wide = alpha.astype(np.uint64)
    return np.minimum((colour * np.uint64(65535) + wide // 2) // np.maximum(wide, 1), 65535).astype(np.uint16)


def _with_raw_mode(tile: Any, mode: str) -> Any:
    """The same tile with another raw mode."""
    arguments = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)
