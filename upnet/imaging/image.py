"""`RasterImage`: the pixels of one image with its metadata, independent of the file format."""

from dataclasses import dataclass, field, replace

import numpy as np

from upnet.imaging.density import Density
from upnet.imaging.exif import upscaled_exif, upscaled_xmp
from upnet.imaging.ifd import DamagedTagsError

Chunk = tuple[bytes, bytes]
"""A PNG chunk: its name (four letters) and its content."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Metadata of one image, in the upright orientation.

    icc:     ICC colour profile.
    exif:    EXIF block without the `Exif` prefix; its orientation tag is that of the source file.
    xmp:     XMP packet; its orientation is that of the source file.
    density: resolution in pixels per inch.
    colour:  PNG chunks on colour other than the profile: gAMA, cHRM, sRGB, cICP.
    text:    PNG text chunks: tEXt, zTXt, iTXt; the comment of other formats is one of them.
    lost:    names of the metadata that the source has and that isn't kept, such as "IPTC".

    >>> Metadata(density=(300, 300)).density
    (300, 300)
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    density: Density | None = None
    colour: tuple[Chunk, ...] = ()
    text: tuple[Chunk, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RasterImage:
    """Pixels of one upright image, with metadata.

    samples:  (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGB and alpha; uint8 or uint16. Colours
              are not premultiplied by alpha.
    metadata: see `Metadata`.
    remarks:  what was changed or not kept, each as the predicate of a sentence about the image, such as "was converted
              from CMYK to sRGB".

    >>> image = RasterImage(np.zeros((2, 3, 4), np.uint8))
    >>> image.size, image.alpha.shape
    ((3, 2), (2, 3))
    """

    samples: np.ndarray
    metadata: Metadata = field(default_factory=Metadata)
    remarks: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.samples.shape[1], self.samples.shape[0]

    @property
    def alpha(self) -> np.ndarray | None:
        """The alpha channel, (H, W); None without transparency."""
        return self.samples[..., -1] if self.samples.ndim == 3 and self.samples.shape[2] in (2, 4) else None

    def with_samples(self, samples: np.ndarray) -> "RasterImage":
        """The image with upscaled pixels; EXIF and XMP get the new size and orientation 1. Damaged EXIF is removed.

        >>> xmp = b'<a tiff:ImageWidth="3" tiff:ImageLength="2"/>'
        >>> image = RasterImage(np.zeros((2, 3), np.uint8), Metadata(xmp=xmp))
        >>> image.with_samples(np.zeros((4, 6), np.uint8)).metadata.xmp
        b'<a tiff:ImageWidth="6" tiff:ImageLength="4"/>'
        """
        before, after = self.size, (samples.shape[1], samples.shape[0])
        metadata, remarks = self.metadata, self.remarks
        if metadata.xmp:
            metadata = replace(metadata, xmp=upscaled_xmp(metadata.xmp, before, after))
        if metadata.exif:
            try:
                metadata = replace(metadata, exif=upscaled_exif(metadata.exif, before, after))
            except DamagedTagsError:
                metadata, remarks = replace(metadata, exif=None), (*remarks, "lost its EXIF, which is damaged")
        return RasterImage(samples, metadata, remarks)
