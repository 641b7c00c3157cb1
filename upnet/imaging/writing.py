"""Write an image with its metadata, atomically: 8 bits by Pillow, TIFF by tifffile, 16-bit PNG by `write_png16`."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from upnet.imaging.density import density_of_tags, equal_density
from upnet.imaging.exif import EXIF_PREFIX, exif_to_tiff, tiff_header
from upnet.imaging.formats import FORMATS
from upnet.imaging.ifd import BYTE, RESOLUTION, RESOLUTION_UNIT, Tags, read_tags
from upnet.imaging.image import Chunk, RasterImage
from upnet.imaging.png_chunks import SIGNATURE, write_chunk
from upnet.imaging.png_metadata import decode_text, metadata_chunks, text_chunks
from upnet.utils.atomic_io import open_atomic
from upnet.utils.errors import UserError

_QUALITY: dict[str, dict[str, Any]] = {
    # Chroma is not subsampled: the image was just upscaled.
    "JPEG": {"quality": 95, "subsampling": 0},
    # Keep the colours of transparent pixels.
    "WEBP": {"quality": 95, "exact": True},
}
_STRIP_BYTES = 2**19
"""Uncompressed size of a TIFF strip, approximately; readers hold one strip in memory."""
_XMP_TAG, _INCH, _NO_UNIT = 700, 2, 1
_PNG_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK_BYTES = 2**21
"""Bytes of PNG rows that are filtered at a time; they fit into the cache of a core."""
_SUB, _UP, _PAETH = 1, 2, 4  # filter types of PNG


def write_image(image: RasterImage, path: Path) -> None:
    """Write the image in the format of the path's suffix, with its metadata.

    image: pixels and metadata that the format supports; see `upnet.imaging.formats.Format.adapt`.

    The file appears under its name when it is complete and synced to disk. Raises OSError where the file cannot be
    written, and UserError for a TIFF above 4 GB.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image(RasterImage(np.zeros((2, 3), np.uint16)), Path(folder, "grey.png"))
    ...     Image.open(f"{folder}/grey.png").size
    (3, 2)
    """
    image_format = FORMATS[path.suffix.lower()]
    with open_atomic(path) as file:
        if image_format.name == "TIFF":
            write_tiff(file, image)
        elif image.samples.dtype == np.uint16:
            write_png16(file, image.samples, metadata_chunks(image.metadata))
        else:
            Image.fromarray(image.samples).save(
                file, format=image_format.name, **_pillow_options(image, image_format.name)
            )


def write_tiff(file: BinaryIO, image: RasterImage) -> None:
    """Write a TIFF, deflate-compressed, 8 or 16 bits per channel, with ICC profile, EXIF, XMP and resolution.

    file: empty, open for reading and writing.

    Raises UserError where the file would exceed 4 GB, the limit of TIFF.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_tiff(file, RasterImage(np.zeros((2, 3, 4), np.uint8)))
    >>> Image.open(file).mode
    'RGBA'
    """
    import tifffile

    samples, metadata = image.samples, image.metadata
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    exif = exif_to_tiff(metadata.exif) if metadata.exif else None
    xmp = metadata.xmp
    try:
        tifffile.imwrite(
            file,
            samples,
            byteorder=">" if exif and exif.order == ">" else "<",
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            compression="zlib",
            predictor=True,
            rowsperstrip=max(1, _STRIP_BYTES // (samples[:1].nbytes)),
            resolution=metadata.density or (1, 1),
            resolutionunit=_INCH if metadata.density else _NO_UNIT,
            iccprofile=metadata.icc,
            extratags=[(_XMP_TAG, BYTE, len(xmp), xmp, True)] if xmp else [],
            metadata=None,
            software=False,
        )
    except ValueError as error:
        if "too large" not in str(error):
            raise
        raise UserError("a TIFF has at most 4 GB, and this image needs more", cure="Write a .png") from error
    if exif is not None:
        if metadata.density and not equal_density(density_of_tags(exif), metadata.density):
            exif.values = {t: value for t, value in exif.values.items() if t not in (*RESOLUTION, RESOLUTION_UNIT)}
        _add_exif(file, exif)


def write_png16(file: BinaryIO, samples: np.ndarray, chunks: list[Chunk] | None = None, level: int = 6) -> None:
    """Write (H, W) or (H, W, C) uint16 as a PNG; C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.

    chunks: metadata chunks to write before the pixels.
    level:  compression level of zlib, 0..9.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_png16(file, np.zeros((2, 3, 4), np.uint16))
    >>> Image.open(file).size
    (3, 2)
    """
    samples = samples[..., None] if samples.ndim == 2 else samples
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR_TYPE[channels], 0, 0, 0)
    file.write(SIGNATURE)
    for name, content in ((b"IHDR", header), *(chunks or [])):
        write_chunk(file, name, content)
    stream = zlib.compressobj(level)
    for rows in _filter_rows(samples):
        if compressed := stream.compress(rows):
            write_chunk(file, b"IDAT", compressed)
    write_chunk(file, b"IDAT", stream.flush())
    write_chunk(file, b"IEND", b"")


def _add_exif(file: BinaryIO, exif: Tags) -> None:
    """Append a directory with the tags of a TIFF and of EXIF, and let the header point to it.

    tifffile writes no EXIF directory.
    """
    tags = read_tags(file)
    tags.values |= exif.values
    tags.children = exif.children
    start = file.seek(0, os.SEEK_END)
    start += file.write(b"\0" * (start % 2))
    file.write(tags.to_bytes(start))
    file.seek(0)
    file.write(tiff_header(tags.order, start))


def _pillow_options(image: RasterImage, format_name: str) -> dict[str, Any]:
    """Keyword arguments for Pillow's `save`."""
    metadata, options = image.metadata, dict(_QUALITY.get(format_name, {}))
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.exif:
        options["exif"] = EXIF_PREFIX + metadata.exif
    if format_name == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for name, content in (*metadata.colour, *text_chunks(metadata)):
            options["pnginfo"].add(name, content)
    elif metadata.xmp:
        options["xmp"] = metadata.xmp
    if format_name == "JPEG" and metadata.text:
        options["comment"] = (decode_text(metadata.text[0]) or "").encode()
    if metadata.density or format_name == "BMP":  # without it, Pillow writes 96 dpi into a BMP
        options["dpi"] = metadata.density or (0, 0)
    return options


def _filter_rows(samples: np.ndarray) -> Iterator[bytes]:
    """Encode (H, W, C) uint16 as PNG rows, several at a time, each with the filter of the smallest residual."""
    height, width, channels = samples.shape
    step, length = 2 * channels, 2 * channels * width
    block = max(1, _BLOCK_BYTES // length)
    previous = np.zeros((1, length), np.uint8)
    for first in range(0, height, block):
        rows = samples[first : first + block].astype(">u2").view(np.uint8).reshape(-1, length)
        up = np.concatenate((previous, rows[:-1]))
        previous = rows[-1:].copy()
        left, corner = (np.pad(source[:, :-step], ((0, 0), (step, 0))) for source in (rows, up))
        best = np.empty((len(rows), 1 + length), np.uint8)
        smallest = np.full(len(rows), np.iinfo(np.int64).max)
        for filter_type, prediction in ((_UP, up), (_SUB, left), (_PAETH, None)):
            residual = rows - (_paeth(left, up, corner) if prediction is None else prediction)
            # The heuristic of the PNG specification: the sum of the absolute values of the residual as signed bytes.
            total = np.minimum(residual, 0 - residual).sum(axis=1, dtype=np.int64)
            better = total < smallest
            best[better, 0], smallest[better] = filter_type, total[better]
            best[better, 1:] = residual[better]
        yield best.tobytes()


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The Paeth predictor: the neighbour nearest to left + up - corner; ties go to left, then up."""
    signed_left, signed_up, signed_corner = (plane.astype(np.int16) for plane in (left, up, corner))
    left_error = np.abs(signed_up - signed_corner)
    up_error = np.abs(signed_left - signed_corner)
    corner_error = np.abs(signed_left + signed_up - 2 * signed_corner)
    nearest = np.where(up_error <= corner_error, up, corner)
    return np.where((left_error <= up_error) & (left_error <= corner_error), left, nearest)
