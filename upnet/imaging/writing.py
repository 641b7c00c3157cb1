"""Write a picture so that its name never stands for half a file."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from upnet.imaging.formats import FORMATS, Format
from upnet.imaging.image import RasterImage
from upnet.imaging.png import density_chunk, icc_chunk, text_of, write_png, xmp_chunk
from upnet.imaging.tiff import write_tiff

_QUALITY: dict[str, dict[str, Any]] = {
    # Colour with as many pixels as luma: what was just enlarged is not made smaller again.
    "JPEG": {"quality": 95, "subsampling": 0},
    # The colours below full transparency are kept as they are.
    "WEBP": {"quality": 95, "exact": True},
}


def write_image(picture: RasterImage, path: Path) -> None:
    """Write the picture in the format that the name ends in, with its metadata, all of which that format must hold.

    The file gets its name when it is complete and on the disk. Raises OSError where it can't be written.
    """
    form = FORMATS[path.suffix.lower()]
    with atomic_open(path) as file:
        if form.name == "TIFF":
            channels = _channels(picture.samples)
            write_tiff(file, channels, picture.icc, picture.exif, picture.xmp, picture.density)
        elif picture.samples.dtype == np.uint16:
            write_png(file, _channels(picture.samples), _chunks(picture))
        else:
            Image.fromarray(picture.samples).save(file, format=form.name, **_options(picture, form))


@contextmanager
def atomic_open(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which becomes `path` at the end; where that isn't reached, nothing changes.

    Until then it is hidden and ends in `.part`. A file or a link of that name is replaced, never written through.
    """
    aside = path.with_name(f".upnet-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        with suppress(FileNotFoundError):
            aside.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name last, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse it
            os.fsync(handle)
    finally:
        os.close(handle)


def _channels(samples: np.ndarray) -> np.ndarray:
    return samples[..., None] if samples.ndim == 2 else samples


def _chunks(picture: RasterImage) -> list[tuple[bytes, bytes]]:
    """Of a PNG, in an order that is allowed."""
    chunks = list(picture.colour)
    if picture.icc:
        chunks.append(icc_chunk(picture.icc))
    if picture.density:
        chunks.append(density_chunk(picture.density))
    if picture.exif:
        chunks.append((b"eXIf", picture.exif))
    return chunks + _texts(picture)


def _texts(picture: RasterImage) -> list[tuple[bytes, bytes]]:
    return [*([xmp_chunk(picture.xmp)] if picture.xmp else []), *picture.text]


def _options(picture: RasterImage, form: Format) -> dict[str, Any]:
    """What Pillow is told beside the pixels."""
    options = dict(_QUALITY.get(form.name, {}))
    if picture.icc:
        options["icc_profile"] = picture.icc
    if picture.exif:
        options["exif"] = b"Exif\0\0" + picture.exif
    if form.name == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for name, content in (*picture.colour, *_texts(picture)):
            options["pnginfo"].add(name, content)
    elif picture.xmp:
        options["xmp"] = picture.xmp
    if form.name == "JPEG" and picture.text:
        options["comment"] = (text_of(picture.text[0]) or "").encode()
    if picture.density or form.name == "BMP":  # for which Pillow makes up 96
        options["dpi"] = picture.density or (0, 0)
    return options
