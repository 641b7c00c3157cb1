"""What each kind of picture file can hold, and what it can't, told before anything is computed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from upnet.data.deep import to_eight
from upnet.pictures.picture import Picture


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file.

    name:    what Pillow calls it.
    alpha:   whether it holds transparency.
    deep:    whether it holds 16 bits per channel.
    grey:    whether it holds pictures of one channel.
    profile: whether it holds a colour profile.
    exif:    the most bytes of EXIF that it holds.
    longest: the most pixels of a side; None where there is no limit that a picture would meet.
    """

    name: str
    alpha: bool = False
    deep: bool = False
    grey: bool = True
    profile: bool = True
    exif: int = 2**31 - 1
    longest: int | None = None

    def accept(self, picture: Picture, scale: int, target: Path) -> Picture:
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
        icc, exif = picture.icc, picture.exif
        if icc and not (self.profile and (self.grey or icc[16:20] != b"GRAY")):
            icc = None
            remarks.append(f"lost its colour profile, which a {kind} can't hold")
        if exif and len(exif) > self.exif:
            exif = None
            remarks.append(f"lost its EXIF, of which a {kind} holds at most {self.exif} bytes")
        return replace(picture, samples=samples, icc=icc, exif=exif, remarks=tuple(remarks))

    def fit(self, samples: np.ndarray) -> np.ndarray:
        """The larger pixels with no more bits than it holds."""
        return to_eight(samples) if samples.dtype == np.uint16 and not self.deep else samples


_JPEG = Format("JPEG", exif=65527, longest=65535)
_TIFF = Format("TIFF", alpha=True, deep=True)
FORMATS = {
    ".png": Format("PNG", alpha=True, deep=True),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".bmp": Format("BMP", profile=False, exif=0),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", alpha=True, grey=False, longest=16383),
}
"""By the ending of the file's name, in lower case."""
