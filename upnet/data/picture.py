"""Read a picture file as (H, W, 3) uint8, whatever its colour mode and bit depth."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""File name endings that count as pictures, in lower case; upper case is understood as well."""

EXIF_ORIENTATION = 0x0112
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

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
            pixels = _decode_deep(path) if _is_deep(path, image) else _decode(image)
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


def _is_deep(path: Path, image: Image.Image) -> bool:
    """Whether the file has 16 bits in several channels, of which Pillow silently keeps the upper 8."""
    if image.format == "PNG":
        with path.open("rb") as file:
            head = file.read(26)
        # After the signature: length, "IHDR", width, height, then bit depth and colour type (0 is grey alone).
        return head.startswith(_PNG_SIGNATURE) and len(head) == 26 and head[24] == 16 and head[25] != 0
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(258, (8,))
        return len(bits) > 1 and max(bits) > 8
    return False


def _decode_deep(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 of a file with 16 bits in several channels."""
    if path.suffix.lower() in (".tif", ".tiff"):
        raise ValueError("TIFF with 16 bits in several channels is not read without loss: save it as 16-bit PNG")
    from torchvision.io import decode_image

    pixels = decode_image(str(path)).permute(1, 2, 0).numpy()  # (H, W, C), C = 2 (grey and alpha), 3 or 4
    return _to_rgb(pixels[..., :3] if pixels.shape[-1] > 2 else pixels[..., 0])


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
