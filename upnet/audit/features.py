"""Features of an image for near-duplicate search: keypoints with descriptors, and one descriptor of the full image.

Keypoints are the maxima over position and scale of the determinant of the Hessian (Lindeberg, "Feature detection with
automatic scale selection", 1998, https://doi.org/10.1023/A:1008045108935). Their descriptors are small patches with
normalised brightness and contrast (Brown, Szeliski and Winder, "Multi-image matching using multi-scale oriented
patches", 2005, https://doi.org/10.1109/CVPR.2005.235). Copies of an image are mirrored or rotated by multiples of 90°,
not by arbitrary angles, so patches stay upright and all eight orientations are compared.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from upnet.audit.image_ops import Size, gaussian_blur, normalise_contrast, to_grey, to_tensor

VERSION = 2
"""Version of the features: part of the name of every file that stores them. Increase it when features change."""

PATCH_SIDE = 8
"""Samples along a side of a patch."""
GLOBAL_SIDE = 16
"""Side of the reduced image that is the global descriptor."""

_THUMBNAIL_PIXELS = 52_000
_MAX_ENLARGEMENT = 2.0
_BASE_SIGMA = 1.6
_LEVELS = 5
_SAMPLE_SPACING = 1.5
_MIN_OCTAVE_SIDE = 24
_KEYPOINTS_PER_OCTAVE = (64, 44, 24, 12, 6)
_MIN_RESPONSE = 1.0
_MAX_FREQUENCY = 6.0


@dataclass(frozen=True, slots=True)
class Features:
    """Features of one image, in pixel coordinates of its thumbnail.

    thumbnail:         (h, w) uint8, greyscale, about 52 000 pixels.
    keypoints:         (K, 3) float32: x, y and sigma; the thumbnail's top left corner is (0, 0).
    descriptors:       (K, PATCH_SIDE²) float32, unit length: whitened cosine transforms, vertical frequencies first,
                       without the mean.
    global_descriptor: (GLOBAL_SIDE²,) float32 of unit length, or zeros for an image without structure.
    """

    thumbnail: np.ndarray
    keypoints: Tensor
    descriptors: Tensor
    global_descriptor: Tensor

    @property
    def size(self) -> Size:
        """(h, w) of the thumbnail."""
        return self.thumbnail.shape[0], self.thumbnail.shape[1]


def extract_features(rgb: np.ndarray) -> Features:
    """Extract the features of an image, (H, W, 3) uint8.

    >>> features = extract_features(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))
    >>> features.size, features.descriptors.shape[1]
    ((128, 192), 64)
    """
    image = _thumbnail(rgb)
    grey = to_tensor(image)
    reduced = image.resize((GLOBAL_SIDE + 8, GLOBAL_SIDE + 8), Image.Resampling.BOX)
    reduced = normalise_contrast(to_tensor(reduced), sigma=4.0)[4:-4, 4:-4]
    keypoints, descriptors = [torch.zeros(0, 3)], [torch.zeros(0, PATCH_SIDE**2)]
    is_large = min(grey.shape) >= _MIN_OCTAVE_SIDE
    base = gaussian_blur(grey, math.sqrt(_BASE_SIGMA**2 - 0.5**2)) if is_large else grey
    for octave, count in enumerate(_KEYPOINTS_PER_OCTAVE):
        if min(base.shape) < _MIN_OCTAVE_SIDE:
            break
        levels = _scale_space(base)
        points = _detect(levels, count)
        descriptors.append(_describe(levels, points))
        # Subsampling keeps the first pixel: pixel centres stay where they were.
        keypoints.append(torch.cat(((points[:, :2] - 0.5) * 2**octave + 0.5, points[:, 2:] * 2**octave), dim=1))
        base = levels[3, ::2, ::2]
    return Features(
        np.array(image), torch.cat(keypoints), torch.cat(descriptors), _standardise(reduced.reshape(1, -1))[0]
    )


def _thumbnail(rgb: np.ndarray) -> Image.Image:
    """Greyscale image of constant area; small images are enlarged by at most _MAX_ENLARGEMENT."""
    height, width = rgb.shape[:2]
    factor = min(math.sqrt(_THUMBNAIL_PIXELS / (height * width)), _MAX_ENLARGEMENT)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return to_grey(rgb, 2 * max(size)).resize(size, Image.Resampling.BICUBIC)


def _scale_space(base: Tensor) -> Tensor:
    """(h, w) of blur _BASE_SIGMA -> (5, h, w) with blurs 1.6 · 2^(0, 1/3, 2/3, 1, 4/3) in pixels of the octave."""
    levels = [base]
    for step in range(1, _LEVELS):
        previous, target = (_BASE_SIGMA * 2 ** (index / 3) for index in (step - 1, step))
        levels.append(gaussian_blur(levels[-1], math.sqrt(target**2 - previous**2)))
    return torch.stack(levels)


def _detect(levels: Tensor, count: int) -> Tensor:
    """(K, 3): x, y, sigma of the strongest maxima whose patch is inside the image, K <= count."""
    sigmas = _BASE_SIGMA * 2 ** (torch.arange(_LEVELS) / 3)
    response = F.pad(_hessian_determinant(levels).mul_(sigmas.view(-1, 1, 1) ** 4), (1, 1, 1, 1))
    is_peak = (_max_filter(response) == response) & (response > _MIN_RESPONSE)
    is_peak[0] = is_peak[-1] = False
    level, y, x = is_peak.nonzero(as_tuple=True)
    height, width = levels.shape[1:]
    margin = _SAMPLE_SPACING * (PATCH_SIDE - 1) / 2 * sigmas[level]
    fits = (torch.minimum(x, width - 1 - x) >= margin) & (torch.minimum(y, height - 1 - y) >= margin)
    level, y, x = level[fits], y[fits], x[fits]
    strongest = response[level, y, x].argsort(descending=True, stable=True)[:count]
    level, y, x = level[strongest], y[strongest], x[strongest]
    offsets = [_subsample_offset(response, level, y, x, axis) for axis in range(3)]
    sigma = _BASE_SIGMA * 2 ** ((level + offsets[0]) / 3)
    return torch.stack((x + offsets[2] + 0.5, y + offsets[1] + 0.5, sigma), dim=1)


def _hessian_determinant(levels: Tensor) -> Tensor:
    """(5, h, w) -> (5, h - 2, w - 2). In place: new memory costs more time than the arithmetic."""
    twice = levels[:, 1:-1, 1:-1] * 2
    xx = (levels[:, 1:-1, 2:] + levels[:, 1:-1, :-2]).sub_(twice)
    yy = twice.neg_().add_(levels[:, 2:, 1:-1]).add_(levels[:, :-2, 1:-1])
    xy = (levels[:, 2:, 2:] - levels[:, 2:, :-2]).sub_(levels[:, :-2, 2:]).add_(levels[:, :-2, :-2]).div_(4)
    return xx.mul_(yy).sub_(xy.square_())


def _max_filter(response: Tensor) -> Tensor:
    """The maximum over each value and its 26 neighbours, one axis at a time (faster than max_pool3d)."""
    for axis in range(3):
        length = response.shape[axis] - 1
        front, back = response.narrow(axis, 0, length), response.narrow(axis, 1, length)
        response = response.clone()
        for part, neighbour in ((response.narrow(axis, 0, length), back), (response.narrow(axis, 1, length), front)):
            torch.maximum(part, neighbour, out=part)
    return response


def _subsample_offset(response: Tensor, level: Tensor, y: Tensor, x: Tensor, axis: int) -> Tensor:
    """Offset, -1/2 to 1/2, of the peak of the parabola through a sample and its two neighbours along an axis."""
    step = [int(axis == index) for index in range(3)]
    before = response[level - step[0], y - step[1], x - step[2]]
    after = response[level + step[0], y + step[1], x + step[2]]
    curvature = (before + after - 2 * response[level, y, x]).clamp_max(-1e-6)
    return ((before - after) / (2 * curvature)).clamp(-0.5, 0.5)


def _describe(levels: Tensor, points: Tensor) -> Tensor:
    """(K, PATCH_SIDE²) descriptors of keypoints: grids of samples 1.5 sigma apart, at the blur of the keypoint."""
    count, height, width = levels.shape
    grid = (torch.arange(PATCH_SIDE) - (PATCH_SIDE - 1) / 2) * _SAMPLE_SPACING
    x = points[:, 0, None, None] + grid[None, None, :] * points[:, 2, None, None]
    y = points[:, 1, None, None] + grid[None, :, None] * points[:, 2, None, None]
    level = 3 * torch.log2(points[:, 2] / _BASE_SIGMA)[:, None, None]
    # grid_sample expects -1 to 1 from edge to edge. Level 0 is at the centre of the first sample, unlike x and y.
    x, y, level = torch.broadcast_tensors(2 * x / width - 1, 2 * y / height - 1, (2 * level + 1) / count - 1)
    positions = torch.stack((x, y, level), dim=-1)[None]
    samples = F.grid_sample(levels[None, None], positions, padding_mode="border", align_corners=False)
    return _normalise(_whiten(samples.reshape(-1, PATCH_SIDE, PATCH_SIDE)).reshape(-1, PATCH_SIDE**2))


def _whiten(patches: Tensor) -> Tensor:
    """(K, PATCH_SIDE, PATCH_SIDE) samples -> cosine transforms, each coefficient divided by its mean amplitude, 1/f.

    Without whitening, unrelated patches correlate because all photographs have a 1/f spectrum. The highest frequencies
    are set to zero because JPEG compression changes them.
    """
    k = torch.arange(PATCH_SIDE, dtype=torch.float32)
    cosines = torch.cos(math.pi * (k + 0.5) * k[:, None] / PATCH_SIDE) * math.sqrt(2 / PATCH_SIDE)
    cosines[0] /= math.sqrt(2)
    frequency = torch.hypot(k, k[:, None])
    weights = torch.where(frequency < _MAX_FREQUENCY, frequency, torch.zeros(()))
    return weights * (cosines @ patches @ cosines.T)


def _standardise(rows: Tensor) -> Tensor:
    """Rows of zero mean and unit length; constant rows become zero."""
    return _normalise(rows - rows.mean(dim=1, keepdim=True))


def _normalise(rows: Tensor) -> Tensor:
    """Rows of unit length; rows shorter than 0.001 become zero."""
    length = rows.norm(dim=1, keepdim=True)
    return torch.where(length > 1e-3, rows / length.clamp_min(1e-3), torch.zeros_like(rows))
