"""What each kind of picture file can hold, and what it can't, told before anything is computed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from upnet.imaging.image import RasterImage
from upnet.imaging.image16 import to_eight
from upnet.imaging.metadata import Chunk, Density, density_block, exif_density, same_density
from upnet.imaging.png import COMMENT, text_of
from upnet.imaging.png_chunks import keyword

_ANY = 2**31 - 1
_COLOUR_NAMES = {b"gAMA": "gamma", b"cHRM": "chromaticities", b"sRGB": "sRGB intent", b"cICP": "cICP chunk"}
_FEW = 3
"""Texts that are named; of further ones their number is."""


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    name:    what Pillow calls it.
    alpha:   whether it holds transparency.
    deep:    whether it holds 16 bits per channel.
    grey:    whether it holds pictures of one channel.
    profile: the most bytes of a colour profile that it holds.
    exif:    the most bytes of EXIF that it holds.
    longest: the most pixels of a side; None where there is no limit that a picture would meet.
    xmp:     the most bytes of XMP that it holds.
    density: the least and the most pixels per inch that it holds; None where it holds them in EXIF only.
    colour:  whether it holds PNG's chunks on colours: gAMA, cHRM, sRGB, cICP.
    text:    whether it holds texts with a keyword, one comment, or none.
    comment: the most bytes of a comment.
    """

    name: str
    alpha: bool = False
    deep: bool = False
    grey: bool = True
    profile: int = _ANY
    exif: int = _ANY
    longest: int | None = None
    xmp: int = _ANY
    density: Density | None = (0.0127, 5e7)  # of whole pixels per metre
    colour: bool = False
    text: Literal["keywords", "comment", "none"] = "none"
    comment: int = 0

    def adapt(self, picture: RasterImage, scale: int, target: Path) -> RasterImage:
        """The picture as this kind of file can hold it, with a remark on each thing that it can't.

        Raises ValueError where transparency would be lost, or where the larger picture would be too large.
        """
        kind, alpha = target.suffix.lower(), picture.alpha
        side = scale * max(picture.size)
        if self.longest is not None and side > self.longest:
            raise ValueError(
                f"{target} cannot be written: a {kind} holds at most {self.longest} pixels a side, and this would have "
                f"{side}; write a .png"
            )
        remarks, samples = list(picture.remarks), picture.samples
        if alpha is not None and not self.alpha:
            if not np.all(alpha == np.iinfo(alpha.dtype).max):
                raise ValueError(
                    f"{target} cannot be written: a {kind} holds no transparency, which the picture has; write a .png"
                )
            samples = samples[..., :-1] if samples.shape[2] == 4 else samples[..., 0]
        if samples.dtype == np.uint16 and not self.deep:
            remarks.append(f"has 16 bits per channel, of which a {kind} keeps 8")
        kept, lost = self._with_metadata(replace(picture, samples=samples))
        if lost:
            remarks.append(f"lost its {', '.join(lost)}, which a {kind} can't hold")
        return replace(kept, remarks=tuple(remarks))

    def reduce_depth(self, samples: np.ndarray) -> np.ndarray:
        """The larger pixels with no more bits than it holds."""
        return to_eight(samples) if samples.dtype == np.uint16 and not self.deep else samples

    def _with_metadata(self, picture: RasterImage) -> tuple[RasterImage, list[str]]:
        """The picture with what can be held of its metadata, and a name for everything else."""
        lost: list[str] = []
        icc = picture.icc
        if icc and (len(icc) > self.profile or (not self.grey and icc[16:20] == b"GRAY")):
            icc = None
            lost.append(f"colour profile{_limited(self.profile)}")
        exif, xmp = picture.exif, picture.xmp
        if exif and len(exif) > self.exif:
            exif = None
            lost.append(f"EXIF{_limited(self.exif)}")
        if xmp and len(xmp) > self.xmp:
            xmp = None
            lost.append(f"XMP{_limited(self.xmp)}")
        density = picture.density
        if density and self.density is None:
            exif = exif or density_block(density)
            density = density if same_density(exif_density(exif), density) else None
        elif density and self.density and not self.density[0] <= min(density) <= max(density) <= self.density[1]:
            density = None
        if picture.density and not density:
            lost.append("resolution")
        text = tuple(self._texts(picture.text))
        lost += [] if self.colour else [_COLOUR_NAMES[name] for name, _ in picture.colour]
        lost += _named([chunk for chunk in picture.text if chunk not in text])
        colour = picture.colour if self.colour else ()
        return replace(picture, icc=icc, exif=exif, xmp=xmp, density=density, colour=colour, text=text), lost

    def _texts(self, chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        if self.text == "keywords":
            return chunks
        comments = [chunk for chunk in chunks if keyword(chunk[1]) == COMMENT] if self.text == "comment" else []
        return tuple(chunk for chunk in comments if len((text_of(chunk) or "").encode()) <= self.comment)[:1]


def _limited(most: int) -> str:
    return f" of more than {most} bytes" if 0 < most < _ANY else ""


def _named(chunks: list[Chunk]) -> list[str]:
    names = [f'text "{keyword(content).decode("latin-1")}"' for _, content in chunks]
    further = len(names) - _FEW
    return [*names[:_FEW], f"{further} further texts"] if further > 0 else names


_JPEG = Format(
    "JPEG",
    profile=255 * 65519,
    exif=65527,
    longest=65535,
    xmp=65502,
    density=(0.5, 65535),
    text="comment",
    comment=65533,
)
_TIFF = Format("TIFF", alpha=True, deep=True)
FORMATS = {
    ".png": Format("PNG", alpha=True, deep=True, colour=True, text="keywords"),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".bmp": Format("BMP", profile=0, exif=0, xmp=0),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", alpha=True, grey=False, longest=16383, density=None),
}
"""By the ending of the file's name, in lower case."""
