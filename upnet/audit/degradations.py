"""Ways in which LR may have been made, and how near each comes to a given LR picture."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from upnet.audit.image_ops import blurred
from upnet.imaging.imresize import Border, imresize

BORDERS: tuple[Border, ...] = ("symmetric", "replicate")

_LARGEST_PART = 768
_MARGIN = 8
_QUALITIES = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
_GAIN = 2.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How near a way of resizing comes to an LR picture.

    way:       its name.
    differing: pixels with another value in any channel, of all of them.
    pixels:    all of them.
    largest:   difference, in grey levels.
    psnr:      dB over all channels, inf for equal pictures.
    """

    way: str
    differing: int
    pixels: int
    largest: int
    psnr: float

    def figures(self) -> dict[str, float]:
        """The figures as plain data."""
        return {
            "differing": self.differing,
            "pixels": self.pixels,
            "largest": self.largest,
            "psnr": round(self.psnr, 3),
        }

    def told(self) -> str:
        """The figures in words."""
        if not self.differing:
            return "equal in every pixel"
        share = self.differing / self.pixels
        return f"{self.differing} pixels differ ({share:.1%}), by up to {self.largest} levels, {self.psnr:.1f} dB"


def fit(way: str, made: np.ndarray, lr: np.ndarray) -> Fit:
    """Compare two (h, w, 3) uint8 pictures."""
    difference = np.abs(made.astype(np.int16) - lr)
    error = float(np.square(difference, dtype=np.float64).mean())
    psnr = 10 * math.log10(255**2 / error) if error else math.inf
    return Fit(way, int(difference.any(axis=-1).sum()), lr.shape[0] * lr.shape[1], int(difference.max()), psnr)


def fit_imresize(hr: np.ndarray, lr: np.ndarray, scale: int) -> list[Fit]:
    """imresize with the symmetric border and, where that isn't exact, with replicate; the best one first.

    hr has to be scale times as large as lr. Where both borders give the same picture the way is "imresize".
    """
    fits: list[Fit] = []
    made: list[np.ndarray] = []
    for border in BORDERS:
        made.append(imresize(hr, Fraction(1, scale), border))
        fits.append(fit(f"imresize-{border}", made[-1], lr))
    if np.array_equal(made[0], made[1]):
        return [Fit("imresize", fits[0].differing, fits[0].pixels, fits[0].largest, fits[0].psnr)]
    return sorted(fits, key=lambda one: one.differing)


def ways(scale: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Ways to reduce (s·h, s·w, 3) uint8 to (h, w, 3) uint8, by what they are called."""

    def pillow(resample: Image.Resampling) -> Callable[[np.ndarray], np.ndarray]:
        def reduce(hr: np.ndarray) -> np.ndarray:
            size = hr.shape[1] // scale, hr.shape[0] // scale
            return np.asarray(Image.fromarray(hr).resize(size, resample))

        return reduce

    def torch_way(mode: str, antialias: bool, align_corners: bool | None = False) -> Callable[[np.ndarray], np.ndarray]:
        def reduce(hr: np.ndarray) -> np.ndarray:
            planes = torch.from_numpy(np.array(hr)).permute(2, 0, 1)[None].float()
            size = hr.shape[0] // scale, hr.shape[1] // scale
            made = F.interpolate(planes, size=size, mode=mode, antialias=antialias, align_corners=align_corners)
            return _rounded(made[0].permute(1, 2, 0).numpy())

        return reduce

    def gaussian(hr: np.ndarray) -> np.ndarray:
        planes = blurred(torch.from_numpy(np.array(hr)).permute(2, 0, 1).float(), 1.6)
        return _rounded(planes[:, ::scale, ::scale].permute(1, 2, 0).numpy())

    def area(hr: np.ndarray) -> np.ndarray:
        return _rounded(hr.reshape(hr.shape[0] // scale, scale, hr.shape[1] // scale, scale, 3).mean(axis=(1, 3)))

    half = scale // 2
    return {
        "imresize-symmetric": lambda hr: imresize(hr, Fraction(1, scale), "symmetric"),
        "imresize-replicate": lambda hr: imresize(hr, Fraction(1, scale), "replicate"),
        "imresize in float, rounded once": lambda hr: _rounded(imresize(hr.astype(np.float64), Fraction(1, scale))),
        "Pillow's bicubic": pillow(Image.Resampling.BICUBIC),
        "torch's antialiased bicubic": torch_way("bicubic", True),
        "bicubic without antialiasing (a = -0.75, torch and OpenCV)": torch_way("bicubic", False),
        "corner-aligned bicubic": torch_way("bicubic", False, True),
        "Pillow's bilinear": pillow(Image.Resampling.BILINEAR),
        "bilinear without antialiasing": torch_way("bilinear", False),
        "corner-aligned bilinear": torch_way("bilinear", False, True),
        "Pillow's Lanczos": pillow(Image.Resampling.LANCZOS),
        "area (the mean over boxes)": area,
        f"every {_ordinal(scale)} pixel, from the first": lambda hr: hr[::scale, ::scale],
        f"every {_ordinal(scale)} pixel, from the middle of each block": lambda hr: hr[half::scale, half::scale],
        f"Gaussian blur (sigma 1.6), then every {_ordinal(scale)} pixel": gaussian,
    }


def examine(hr: np.ndarray, lr: np.ndarray, scale: int) -> list[Fit]:
    """All ways, the best first, on a part of the picture where it is large; JPEG after a way counts as another way."""
    height, width = (min(side, _LARGEST_PART // scale) for side in lr.shape[:2])
    hr, part = hr[: scale * height, : scale * width], lr[:height, :width]
    # Near a cut the ways miss what lies beyond it.
    part = part[: height - _MARGIN * (height < lr.shape[0]), : width - _MARGIN * (width < lr.shape[1])]
    made = {way: reduce(hr) for way, reduce in ways(scale).items()}
    fits = sorted((_fit(way, one, part) for way, one in made.items()), key=lambda one: -one.psnr)
    if fits[0].differing:
        pressed = [_pressed(one, made[one.way], part) for one in fits[:3]]
        fits += [one for one in pressed if one.psnr > fits[0].psnr + _GAIN]
    return sorted(fits, key=lambda one: -one.psnr)


def _fit(way: str, made: np.ndarray, part: np.ndarray) -> Fit:
    """Compared where there is something to compare with."""
    return fit(way, made[: part.shape[0], : part.shape[1]], part)


def _pressed(plain: Fit, made: np.ndarray, part: np.ndarray) -> Fit:
    """The way followed by JPEG of the quality that fits best."""
    return max(
        (_fit(f"{plain.way}, then JPEG of about quality {q}", _jpeg(made, q), part) for q in _QUALITIES),
        key=lambda one: one.psnr,
    )


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def _ordinal(scale: int) -> str:
    return {2: "second", 3: "third"}.get(scale, f"{scale}th")
