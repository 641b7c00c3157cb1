"""Files with 16 bits in several channels, of which Pillow by itself keeps the upper 8."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from upnet.imaging.png_chunks import pixels_of

_BITS_PER_SAMPLE, _ORIENTATION = 258, 274  # tags of TIFF
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2  # photometric interpretations of TIFF
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha that the colours were multiplied by, and alpha beside them

# How Pillow is told to take the bytes of 16-bit channels -> how it takes the lower byte of each.
_LOWER = {f"{mode};16{order}": f"{mode};16{other}" for mode in ("RGB", "RGBA") for order, other in ("BL", "LB")}
_LOWER |= {f"{mode};16N": f"{mode};16{'B' if sys.byteorder == 'little' else 'L'}" for mode in ("RGB", "RGBA")}
_LOWER["LA;16B"] = "RGBA"


def is_deep(image: Image.Image) -> bool:
    """Whether the file, opened and not loaded, has 16 bits in several channels: grey and alpha, or RGB with or without.

    A picture of one channel is none of them: Pillow reads it with all its bits.
    """
    if image.mode not in ("RGB", "RGBA"):
        return False
    return bits_per_sample(image) > 8 or any(";16" in raw_mode(tile) for tile in getattr(image, "tile", []))


def bits_per_sample(image: Image.Image) -> int:
    """Of a TIFF, as its tag says; 8 of other files."""
    return int(max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))))


def read_deep(path: Path, image: Image.Image) -> np.ndarray | None:
    """(H, W, C) uint16 as it is stored, C = 2 grey and alpha, 3 RGB, 4 RGBA; None where Pillow can't give all bits.

    image: the file, opened and not loaded. A first pass reads the upper bytes, and a second one the lower.
    """
    modes = {raw_mode(tile) for tile in getattr(image, "tile", [])}
    if not modes or not modes <= _LOWER.keys():
        return None
    image.load()
    upper = np.asarray(image)
    with pixels_of(path) as source, Image.open(source) as again:
        # Told that the bytes stand in the other order, Pillow keeps those that it dropped.
        setattr(again, "tile", [_told(tile, _LOWER[raw_mode(tile)]) for tile in getattr(again, "tile", [])])  # noqa: B010
        again.load()
        lower = np.asarray(again)
    if modes == {"LA;16B"}:  # read as RGBA the bytes are: grey upper, grey lower, alpha upper, alpha lower
        upper, lower = lower[..., 0::2], lower[..., 1::2]
    deep = upper.astype(np.uint16)
    deep <<= 8
    deep |= lower
    return deep


def read_wide(path: Path, check: Callable[[int, int], None]) -> tuple[np.ndarray, int]:
    """A TIFF with 16 bits in a layout that Pillow lacks: (H, W, C) uint16 as it is stored, and its orientation tag.

    These are separate colour planes, grey with alpha, and colours that were multiplied by alpha, which is undone.
    check: takes width and height, before anything is decoded, and may raise.

    Raises ValueError for other files, and for compressions that tifffile can't undo without further libraries.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with the file is told by the error
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            check(page.imagewidth, page.imagelength)
            if page.dtype != np.uint16 or page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
                raise ValueError("it is a TIFF of a kind that isn't known: save it as PNG")
            planes = np.asarray(page.asarray())
            planes = np.moveaxis(planes, page.axes.index("S"), -1) if "S" in page.axes else planes[..., None]
            turn = page.tags.get(_ORIENTATION)
            kinds = tuple(int(kind) for kind in page.extrasamples)
    except tifffile.TiffFileError as error:
        raise ValueError(f"it is a damaged TIFF: {error}") from error
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise ValueError("16 bits are read from a TIFF of this compression with loss only: save it as PNG") from error
    colours = 3 if page.photometric == _RGB else 1
    if planes.ndim != 3 or planes.shape[2] < colours:
        raise ValueError("it is a TIFF of a kind that isn't known: save it as PNG")
    colour = planes[..., :colours] if page.photometric != _WHITE_IS_ZERO else np.invert(planes[..., :colours])
    kind = kinds[0] if kinds else _UNASSOCIATED  # a channel that nothing is said of is taken for alpha, as Pillow does
    if planes.shape[2] == colours or kind not in (_ASSOCIATED, _UNASSOCIATED):
        return np.ascontiguousarray(colour), int(turn.value) if turn else 1
    alpha = planes[..., colours : colours + 1]
    colour = _divided(colour, alpha) if kind == _ASSOCIATED else colour
    return np.concatenate((colour, alpha), axis=-1), int(turn.value) if turn else 1


def raw_mode(tile: Any) -> str:
    """How the bytes of a tile are to be taken, as Pillow's decoders are told."""
    return str(tile[3][0] if isinstance(tile[3], tuple) else tile[3])


def to_eight(deep: np.ndarray) -> np.ndarray:
    """Values in 0..65535 -> the nearest in 0..255, uint8: value / 257, since 257 * 255 = 65535."""
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _divided(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by alpha, as they were before; black where alpha is 0."""
    wide = alpha.astype(np.uint64)
    return np.minimum((colour * np.uint64(65535) + wide // 2) // np.maximum(wide, 1), 65535).astype(np.uint16)


def _told(tile: Any, mode: str) -> Any:
    """The same tile, its bytes to be taken in another way."""
    arguments = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)
