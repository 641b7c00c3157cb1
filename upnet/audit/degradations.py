"""Candidate degradations that make LR from HR, and measurements of how well they reproduce an LR image."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from upnet.audit.image_ops import gaussian_blur
from upnet.imaging.imresize import Border, imresize

Degradation = Callable[[np.ndarray], np.ndarray]
"""Reduces (s·h, s·w, 3) uint8 to (h, w, 3) uint8."""

BORDERS: tuple[Border, ...] = ("symmetric", "replicate")

_MAX_HR_SIDE = 768
_BORDER_WIDTH = 8
_JPEG_QUALITIES = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)
_MIN_JPEG_GAIN = 2.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a degradation reproduces an LR image.

    degradation: its name.
    differing:   number of pixels that differ in any channel.
    pixels:      number of pixels compared.
    largest:     the largest difference, in grey levels.
    psnr:        in dB over all channels; inf for equal images.
    """

    degradation: str
    differing: int
    pixels: int
    largest: int
    psnr: float

    def as_json(self) -> dict[str, float]:
        """The measurements as plain data."""
        return {
            "differing": self.differing,
            "pixels": self.pixels,
            "largest": self.largest,
            "psnr": round(self.psnr, 3),
        }

    def describe(self) -> str:
        """The measurements for a report.

        >>> Fit("area", 12, 100, 3, 47.25).describe()
        '12 pixels differ (12.0%), by at most 3 grey levels, PSNR 47.2 dB'
        """
        if not self.differing:
            return "equal in every pixel"
        share = self.differing / self.pixels
        return (
            f"{self.differing} pixels differ ({share:.1%}), by at most {self.largest} grey levels, "
            f"PSNR {self.psnr:.1f} dB"
        )


def compare(degradation: str, degraded: np.ndarray, lr: np.ndarray) -> Fit:
    """Compare a degraded HR image with an LR image, both (h, w, 3) uint8.

    >>> compare("area", np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)).psnr
    inf
    """
    difference = np.abs(degraded.astype(np.int16) - lr)
    mse = float(np.square(difference, dtype=np.float64).mean())
    psnr = 10 * math.log10(255**2 / mse) if mse else math.inf
    differing = int(difference.any(axis=-1).sum())
    return Fit(degradation, differing, lr.shape[0] * lr.shape[1], int(difference.max()), psnr)


def fit_imresize(hr: np.ndarray, lr: np.ndarray, scale: int) -> list[Fit]:
    """Compare LR with imresize of HR for both border modes, the better fit first.

    hr: (s·h, s·w, 3) uint8.
    lr: (h, w, 3) uint8.

    If both borders give the same image, the result is one fit named "imresize".
    """
    symmetric, replicate = (imresize(hr, Fraction(1, scale), border) for border in BORDERS)
    if np.array_equal(symmetric, replicate):
        return [compare("imresize", symmetric, lr)]
    fits = [compare("imresize-symmetric", symmetric, lr), compare("imresize-replicate", replicate, lr)]
    return sorted(fits, key=lambda fit: fit.differing)


def candidate_degradations(scale: int) -> dict[str, Degradation]:
    """Name -> degradation, for an integer scale.

    >>> reduced = candidate_degradations(2)["area (mean of each block)"](np.full((4, 6, 3), 7, np.uint8))
    >>> reduced.shape, int(reduced.max())
    ((2, 3, 3), 7)
    """
    centre = scale // 2
    subsampled = f"one pixel in {scale}"
    return {
        "imresize-symmetric": lambda hr: imresize(hr, Fraction(1, scale), "symmetric"),
        "imresize-replicate": lambda hr: imresize(hr, Fraction(1, scale), "replicate"),
        "imresize in float, rounded once": lambda hr: _to_uint8(imresize(hr.astype(np.float64), Fraction(1, scale))),
        "Pillow's bicubic": _pillow(scale, Image.Resampling.BICUBIC),
        "torch's antialiased bicubic": _interpolate(scale, "bicubic", antialias=True),
        "bicubic without antialiasing (a = -0.75, torch and OpenCV)": _interpolate(scale, "bicubic"),
        "corner-aligned bicubic": _interpolate(scale, "bicubic", align_corners=True),
        "Pillow's bilinear": _pillow(scale, Image.Resampling.BILINEAR),
        "bilinear without antialiasing": _interpolate(scale, "bilinear"),
        "corner-aligned bilinear": _interpolate(scale, "bilinear", align_corners=True),
        "Pillow's Lanczos": _pillow(scale, Image.Resampling.LANCZOS),
        "area (mean of each block)": lambda hr: _block_mean(hr, scale),
        f"{subsampled}, the first of each block": lambda hr: hr[::scale, ::scale],
        f"{subsampled}, the middle of each block": lambda hr: hr[centre::scale, centre::scale],
        f"Gaussian blur (sigma 1.6), then {subsampled}": lambda hr: _blur_and_subsample(hr, scale),
    }


def rank_degradations(hr: np.ndarray, lr: np.ndarray, scale: int) -> list[Fit]:
    """Compare LR with all candidate degradations of HR, and with JPEG compression after the best ones; best first.

    hr: (s·h, s·w, 3) uint8.
    lr: (h, w, 3) uint8. Of a large image only the top left part is compared.
    """
    height, width = (min(side, _MAX_HR_SIDE // scale) for side in lr.shape[:2])
    hr, part = hr[: scale * height, : scale * width], lr[:height, :width]
    # At the edges where a large image is cropped, degradations lack the pixels outside the crop.
    part = part[: height - _BORDER_WIDTH * (height < lr.shape[0]), : width - _BORDER_WIDTH * (width < lr.shape[1])]
    degraded = {name: degrade(hr) for name, degrade in candidate_degradations(scale).items()}
    fits = sorted((_compare_part(name, image, part) for name, image in degraded.items()), key=_by_psnr)
    if fits[0].differing:
        compressed = [_best_jpeg(fit.degradation, degraded[fit.degradation], part) for fit in fits[:3]]
        fits += [fit for fit in compressed if fit.psnr > fits[0].psnr + _MIN_JPEG_GAIN]
    return sorted(fits, key=_by_psnr)


def _by_psnr(fit: Fit) -> float:
    return -fit.psnr


def _compare_part(name: str, degraded: np.ndarray, part: np.ndarray) -> Fit:
    return compare(name, degraded[: part.shape[0], : part.shape[1]], part)


def _best_jpeg(name: str, degraded: np.ndarray, part: np.ndarray) -> Fit:
    """The fit after JPEG compression, for the quality that fits best."""
    return min(
        (
            _compare_part(f"{name}, then JPEG of about quality {quality}", _jpeg(degraded, quality), part)
            for quality in _JPEG_QUALITIES
        ),
        key=_by_psnr,
    )


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _pillow(scale: int, resample: Image.Resampling) -> Degradation:
    def degrade(hr: np.ndarray) -> np.ndarray:
        size = hr.shape[1] // scale, hr.shape[0] // scale
        return np.asarray(Image.fromarray(hr).resize(size, resample))

    return degrade


def _interpolate(scale: int, mode: str, *, antialias: bool = False, align_corners: bool = False) -> Degradation:
    def degrade(hr: np.ndarray) -> np.ndarray:
        size = hr.shape[0] // scale, hr.shape[1] // scale
        lr = F.interpolate(_to_tensor(hr)[None], size=size, mode=mode, antialias=antialias, align_corners=align_corners)
        return _to_uint8(lr[0].permute(1, 2, 0).numpy())

    return degrade


def _blur_and_subsample(hr: np.ndarray, scale: int) -> np.ndarray:
    return _to_uint8(gaussian_blur(_to_tensor(hr), 1.6)[:, ::scale, ::scale].permute(1, 2, 0).numpy())


def _block_mean(hr: np.ndarray, scale: int) -> np.ndarray:
    blocks = hr.reshape(hr.shape[0] // scale, scale, hr.shape[1] // scale, scale, 3)
    return _to_uint8(blocks.mean(axis=(1, 3)))


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (3, H, W) float32, 0 to 255."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)
