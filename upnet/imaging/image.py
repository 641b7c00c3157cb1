"""A picture with what belongs to it, from a file or from Pillow."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from upnet.imaging import exif as exif_block
from upnet.imaging import xmp as xmp_packet
from upnet.imaging.image16 import bits_per_sample, is_deep, raw_mode, read_deep, read_wide
from upnet.imaging.info import info_of, metadata_of
from upnet.imaging.metadata import Chunk, Density, Metadata
from upnet.imaging.reading import (
    DAMAGE,
    UnsupportedLayoutError,
    check_size,
    named,
    open_image,
    orientation,
    refuse_without_white,
    upright,
)
from upnet.imaging.tiff import read_tiff
from upnet.imaging.tiff_tags import DamagedTagsError

# Fewer than 8 bits per sample are stretched to 8 by Pillow, and the key of transparency isn't.
_STRETCHED = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True, slots=True, eq=False)
class RasterImage:
    """Pixels, upright, and what belongs to them.

    samples: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha; uint8 or uint16.
    icc:     the colour profile.
    exif:    a block of EXIF without the word Exif before it; its orientation is that of the file that was read.
    colour:  what PNG says of colours beside a profile: gAMA, cHRM, sRGB, cICP.
    remarks: what wasn't kept, each a part of a sentence about the picture.
    xmp:     a packet of XMP; its orientation is that of the file that was read.
    density: pixels per inch, horizontally and vertically, upright.
    text:    tEXt, zTXt and iTXt chunks of PNG; the comment of a JPEG is one of them.
    """

    samples: np.ndarray
    icc: bytes | None = None
    exif: bytes | None = None
    colour: tuple[Chunk, ...] = ()
    remarks: tuple[str, ...] = ()
    xmp: bytes | None = None
    density: Density | None = None
    text: tuple[Chunk, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.samples.shape[1], self.samples.shape[0]

    @property
    def alpha(self) -> np.ndarray | None:
        """(H, W), where there is transparency."""
        return self.samples[..., -1] if self.samples.ndim == 3 and self.samples.shape[2] in (2, 4) else None

    @property
    def metadata(self) -> Metadata:
        """All that belongs to the pixels."""
        return Metadata(self.icc, self.exif, self.xmp, self.density, self.colour, self.text)

    def with_samples(self, samples: np.ndarray) -> "RasterImage":
        """The same with larger pixels; its EXIF and XMP say their size, and that they stand upright."""
        after = (samples.shape[1], samples.shape[0])
        larger = replace(self, samples=samples, xmp=self.xmp and xmp_packet.enlarged(self.xmp, self.size, after))
        if self.exif is None:
            return larger
        try:
            return replace(larger, exif=exif_block.enlarged(self.exif, self.size, after))
        except DamagedTagsError:
            return replace(larger, exif=None, remarks=(*self.remarks, "lost its EXIF, which is damaged"))


def read_image(path: str | Path, max_pixels: int | None = None) -> RasterImage:
    """A picture file with 8 or 16 bits per channel, grey or colour, with or without alpha, upright.

    Palettes are expanded; transparency of any kind becomes alpha. Inks (CMYK) become sRGB, by their profile where they
    have one; Lab becomes RGB. Of several frames it is the first.
    max_pixels: as in `read_rgb`.

    Raises BrokenImageError as `read_rgb` does.
    """
    path = Path(path)
    try:
        with open_image(path, max_pixels) as image:
            deep = read_deep(path, image) if is_deep(image) else None
            if deep is None and is_deep(image):
                raise UnsupportedLayoutError(path)
            return from_pillow(image, deep, path)
    except UnsupportedLayoutError:
        with named(path):
            samples, turn = read_wide(path, lambda width, height: check_size(width, height, max_pixels))
            return _with(read_tiff(path), samples, turn, ())


def from_pillow(image: Image.Image, deep: np.ndarray | None = None, path: Path | None = None) -> RasterImage:
    """A picture of Pillow's, of any mode, upright.

    deep: its pixels with 16 bits, where Pillow has lost them, (H, W, C) uint16.
    path: the file it comes from, where there is one.

    Raises ValueError for pixels of 32 bits, and whatever Pillow's decoders raise.
    """
    stretched = max((_STRETCHED.get(raw_mode(tile), 1) for tile in getattr(image, "tile", [])), default=1)
    remarks = _frames(image)
    if image.mode == "CMYK" and bits_per_sample(image) > 8:
        remarks += ("was read with 8 of its 16 bits, since it has inks",)
    image.load()
    key = image.info.get("transparency")
    key = None if isinstance(key, str) else key  # a text of a PNG that happens to be called so
    inks = image.mode in ("CMYK", "LAB")
    samples = _samples(image) if deep is None else deep
    if image.mode in ("1", "L", "I", "I;16", "RGB") and key is not None:
        samples = _keyed(samples, np.atleast_1d(key) * stretched)
    if image.mode == "CMYK":
        remarks += ("has inks (CMYK), which became sRGB",)
    turn = orientation(image)
    if turn is None:
        turn, remarks = 1, (*remarks, "has damaged EXIF")
    found = metadata_of(image, path, turn)
    return _with(replace(found, icc=None, colour=()) if inks else found, samples, turn, remarks)


def to_pillow(picture: RasterImage) -> Image.Image:
    """The picture as Pillow's, its metadata in `info` under the names that Pillow reads it by."""
    image = Image.fromarray(picture.samples)
    image.info.update(info_of(picture.metadata))
    return image


def _with(found: Metadata, samples: np.ndarray, turn: int, remarks: tuple[str, ...]) -> RasterImage:
    """Pixels as they are stored, and the metadata that belongs to them."""
    if found.lost:
        remarks = (*remarks, f"lost its {', '.join(found.lost)}")
    pixels = _plain(upright(samples, turn))
    return RasterImage(pixels, found.icc, found.exif, found.colour, remarks, found.xmp, found.density, found.text)


def _plain(samples: np.ndarray) -> np.ndarray:
    """(H, W) for one channel, contiguous, in the machine's byte order."""
    samples = samples[..., 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    return np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("="))


def _samples(image: Image.Image) -> np.ndarray:
    """What Pillow has decoded, as grey or RGB with or without alpha."""
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image)
    if mode == "I":  # as which older Pillow opens PNG with 16-bit grey
        wide = np.asarray(image)
        if image.format == "PNG" or (wide.min() >= 0 and 255 < wide.max() < 2**16):
            return wide.astype(np.uint16)
    refuse_without_white(image)
    if mode == "CMYK":
        image = _without_inks(image)
    transparent = mode in ("LA", "PA", "La", "RGBA", "RGBa") or (mode == "P" and image.has_transparency_data)
    grey = mode in ("1", "L", "LA", "La")
    wanted = ("LA" if transparent else "L") if grey else ("RGBA" if transparent else "RGB")
    return np.asarray(image if image.mode == wanted else image.convert(wanted))


def _keyed(samples: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Alpha for one grey or colour that is transparent: (H, W) or (H, W, 3), and a value per channel."""
    planes = samples[..., None] if samples.ndim == 2 else samples
    opaque = np.iinfo(samples.dtype).max
    alpha = np.where((planes == key).all(axis=-1, keepdims=True), 0, opaque).astype(samples.dtype)
    return np.concatenate((planes, alpha), axis=-1)


def _without_inks(image: Image.Image) -> Image.Image:
    """CMYK as sRGB, by its profile where it has one that can be used."""
    profile = image.info.get("icc_profile")
    if profile:
        from PIL import ImageCms

        try:
            inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, inks, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ImportError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _frames(image: Image.Image) -> tuple[str, ...]:
    # A photo of a telephone, MPO, carries a preview or a map of brightness as a second frame, which nobody misses.
    try:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except DAMAGE:
        return ()
    return (f"has {frames} frames, of which the first was taken",) if frames > 1 else ()
