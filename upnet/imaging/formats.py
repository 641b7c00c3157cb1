"""What each output format supports (transparency, 16 bits, size, metadata), checked before an image is upscaled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from upnet.imaging.density import Density, density_of_exif, density_tags, equal_density
from upnet.imaging.exif import tags_to_exif
from upnet.imaging.image import Chunk, Metadata, RasterImage
from upnet.imaging.image16 import to_8bit
from upnet.imaging.png_chunks import keyword
from upnet.imaging.png_metadata import COMMENT, decode_text
from upnet.utils.errors import UserError

_UNLIMITED = 2**31 - 1
_COLOUR_NAMES = {b"gAMA": "gamma", b"cHRM": "chromaticities", b"sRGB": "sRGB intent", b"cICP": "cICP chunk"}
_NAMED_TEXTS = 3
"""A remark names this many lost texts and counts the others."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format and what it supports.

    name:        its name in Pillow.
    alpha:       whether it supports transparency.
    bits16:      whether it supports 16 bits per channel.
    grey:        whether it supports images of one channel.
    max_profile: largest ICC profile in bytes.
    max_exif:    largest EXIF block in bytes.
    max_side:    largest width or height in pixels; None where images don't reach the limit.
    max_xmp:     largest XMP packet in bytes.
    density:     smallest and largest resolution in pixels per inch; None where only EXIF stores it.
    colour:      whether it stores PNG's colour chunks: gAMA, cHRM, sRGB, cICP.
    text:        what texts it stores: any number with keywords, one comment, or none.
    max_comment: largest comment in bytes.

    >>> FORMATS[".jpg"].reduce_depth(np.array([[65535]], np.uint16))
    array([[255]], dtype=uint8)
    """

    name: str
    alpha: bool = False
    bits16: bool = False
    grey: bool = True
    max_profile: int = _UNLIMITED
    max_exif: int = _UNLIMITED
    max_side: int | None = None
    max_xmp: int = _UNLIMITED
    density: Density | None = (0.0127, 5e7)  # stored as whole pixels per metre, 32 bits
    colour: bool = False
    text: Literal["keywords", "comment", "none"] = "none"
    max_comment: int = 0

    def adapt(self, image: RasterImage, scale: int, target: Path) -> RasterImage:
        """Remove from the image what this format doesn't support, with a remark on each loss.

        image:  the image before upscaling by `scale`.
        target: the file that the upscaled image is written to.

        Raises UserError where transparency would be lost, or where the upscaled image would be too large.
        """
        suffix, alpha = target.suffix.lower(), image.alpha
        side = scale * max(image.size)
        if self.max_side is not None and side > self.max_side:
            raise UserError(
                f"{target} cannot be written: a {suffix} file has at most {self.max_side} pixels per side, and "
                f"this image would have {side}",
                cure="Write a .png",
            )
        remarks, samples = list(image.remarks), image.samples
        if alpha is not None and not self.alpha:
            if not np.all(alpha == np.iinfo(alpha.dtype).max):
                raise UserError(
                    f"{target} cannot be written: {suffix} doesn't support transparency, and the image is transparent",
                    cure="Write a .png",
                )
            samples = samples[..., :-1] if samples.shape[2] == 4 else samples[..., 0]
        if samples.dtype == np.uint16 and not self.bits16:
            remarks.append(f"has 16 bits per channel, of which {suffix} keeps 8")
        metadata, lost = self._adapt_metadata(image.metadata)
        if lost:
            remarks.append(f"lost its {', '.join(lost)}, which {suffix} doesn't support")
        return RasterImage(samples, metadata, tuple(remarks))

    def reduce_depth(self, samples: np.ndarray) -> np.ndarray:
        """Convert uint16 to uint8 if the format doesn't support 16 bits; other samples are returned unchanged."""
        return to_8bit(samples) if samples.dtype == np.uint16 and not self.bits16 else samples

    def _adapt_metadata(self, metadata: Metadata) -> tuple[Metadata, list[str]]:
        """The metadata that the format stores, and the names of the rest."""
        lost: list[str] = []
        icc, exif, xmp, density = metadata.icc, metadata.exif, metadata.xmp, metadata.density
        if icc and (len(icc) > self.max_profile or (not self.grey and icc[16:20] == b"GRAY")):
            icc = None
            lost.append(f"colour profile{_limit(self.max_profile)}")
        if exif and len(exif) > self.max_exif:
            exif = None
            lost.append(f"EXIF{_limit(self.max_exif)}")
        if xmp and len(xmp) > self.max_xmp:
            xmp = None
            lost.append(f"XMP{_limit(self.max_xmp)}")
        if density and self.density is None:
            exif = exif or tags_to_exif(density_tags(density))
            density = density if equal_density(density_of_exif(exif), density) else None
        elif density and self.density and not self.density[0] <= min(density) <= max(density) <= self.density[1]:
            density = None
        if metadata.density and not density:
            lost.append("resolution")
        text = self._adapt_text(metadata.text)
        lost += [] if self.colour else [_COLOUR_NAMES[name] for name, _ in metadata.colour]
        lost += _text_names([chunk for chunk in metadata.text if chunk not in text])
        colour = metadata.colour if self.colour else ()
        return Metadata(icc, exif, xmp, density, colour, text), lost

    def _adapt_text(self, chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        if self.text == "keywords":
            return chunks
        comments = [chunk for chunk in chunks if keyword(chunk[1]) == COMMENT] if self.text == "comment" else []
        return tuple(chunk for chunk in comments if len((decode_text(chunk) or "").encode()) <= self.max_comment)[:1]


def _limit(max_bytes: int) -> str:
    return f" of more than {max_bytes} bytes" if 0 < max_bytes < _UNLIMITED else ""


def _text_names(chunks: list[Chunk]) -> list[str]:
    names = [f'text "{keyword(content).decode("latin-1")}"' for _, content in chunks]
    further = len(names) - _NAMED_TEXTS
    return [*names[:_NAMED_TEXTS], f"{further} more texts"] if further > 0 else names


_JPEG = Format(
    "JPEG",
    max_profile=255 * 65519,
    max_exif=65527,
    max_side=65535,
    max_xmp=65502,
    density=(0.5, 65535),
    text="comment",
    max_comment=65533,
)
_TIFF = Format("TIFF", alpha=True, bits16=True)
FORMATS = {
    ".png": Format("PNG", alpha=True, bits16=True, colour=True, text="keywords"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".bmp": Format("BMP", max_profile=0, max_exif=0, max_xmp=0),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", alpha=True, grey=False, max_side=16383, density=None),
}
"""Suffix in lower case -> format of the files that upnet writes."""
