"""What dead leaves look like: colours, gradients, stripes and 1/f textures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from upnet.data.sources.leaf_geometry import Leaves

_FIELDS = 4  # textures per image, each of another roughness


@dataclass(frozen=True)
class LeafStyle:
    """How leaves are coloured. All amplitudes are of values in 0..1.

    saturation: how colourful; 1 is about as photographs are, 0 is grey.
    gradient:   the largest change of brightness from a leaf's centre to its rim.
    stripes:    the share of large leaves that are striped.
    texture:    the standard deviation of the strongest 1/f texture.
    gamma:      the least and the largest exponent of the amplitude spectrum 1/f^gamma.
    min_detail_radius:      the radius in canvas pixels from which a leaf is more than a plain colour.
    """

    saturation: float
    gradient: float
    stripes: float
    texture: float
    gamma: Sequence[float]
    min_detail_radius: float


class Spots(NamedTuple):
    """The canvas pixels that show a large leaf: its number, and their row and column, (k,) each."""

    leaf: np.ndarray
    row: np.ndarray
    column: np.ndarray


def paint(rng: np.random.Generator, front: np.ndarray, leaves: Leaves, look: LeafStyle, zoom: int) -> np.ndarray:
    """The image of a canvas: front (n, n) numbers leaves, which gives (n, n, 3) float32, about 0..1.

    zoom: canvas pixels per pixel of the finished image, the grain of the textures.
    """
    used, plain = np.unique(front, return_inverse=True)
    leaves = leaves.take(used)
    number = plain.reshape(front.shape)
    image = _colours(rng, len(leaves), look.saturation)[number]
    large = (leaves.radius >= look.min_detail_radius)[number]
    spots = Spots(number[large], *np.nonzero(large))
    light = _gradients(rng, leaves, spots, look)
    light += _stripes(rng, leaves, spots, look, zoom)
    light += _textures(rng, len(leaves), spots, look, zoom, len(front) // zoom)
    # Light and shade change all channels alike, more or less, as they do on real surfaces.
    tint = (1 + look.saturation * 0.15 * rng.standard_normal((len(leaves), 3))).astype(np.float32)
    image[large] += light[:, None] * tint[spots.leaf]
    return image


def _colours(rng: np.random.Generator, count: int, saturation: float) -> np.ndarray:
    """(count, 3): any brightness, and the small opponent contrasts, blue-yellow before red-green, of natural scenes.

    After "Statistics of cone responses to natural images: implications for visual coding" (Ruderman, Cronin and Chiao,
    1998, https://doi.org/10.1364/JOSAA.15.002036): three axes that are nearly independent. An image has its own mean
    brightness and its own cast.
    """
    low, high = np.sort(rng.random(2))
    spread = 0.45 + 0.5 * (high - low)
    centre = 0.3 + 0.35 * rng.random()
    brightness = centre + spread * (rng.random(count) - 0.5) * 1.6
    cast = rng.standard_normal(2) * 0.05
    blue_yellow = saturation * (cast[0] + 0.11 * rng.standard_normal(count))
    red_green = saturation * (cast[1] * 0.5 + 0.06 * rng.standard_normal(count))
    red = brightness + blue_yellow / 2 + red_green
    green = brightness + blue_yellow / 2 - red_green
    blue = brightness - blue_yellow
    return np.clip(np.stack([red, green, blue], axis=-1), 0.02, 0.98).astype(np.float32)


def _gradients(rng: np.random.Generator, leaves: Leaves, spots: Spots, look: LeafStyle) -> np.ndarray:
    """Brightness that grows linearly across a leaf, in a direction and by an amount of its own."""
    angle = rng.random(len(leaves)) * (2 * math.pi)
    steep = look.gradient * (2 * rng.random(len(leaves)) - 1) / leaves.radius
    slope_x, slope_y = (steep * f(angle) for f in (np.cos, np.sin))
    start = -slope_x * leaves.x - slope_y * leaves.y
    slope_x, slope_y, start = (part.astype(np.float32)[spots.leaf] for part in (slope_x, slope_y, start))
    return slope_x * spots.column.astype(np.float32) + slope_y * spots.row.astype(np.float32) + start


def _stripes(rng: np.random.Generator, leaves: Leaves, spots: Spots, look: LeafStyle, zoom: int) -> np.ndarray:
    """Parallel stripes, hard or soft, of 2.5 to 24 finished pixels, on some of the leaves."""
    count = len(leaves)
    angle = rng.random(count) * (2 * math.pi)
    period = zoom * 2.5 * (24 / 2.5) ** rng.random(count)
    contrast = np.where(rng.random(count) < look.stripes, 0.04 + 0.26 * rng.random(count) ** 2, 0).astype(np.float32)
    hardness = (1 + 5 * rng.random(count) ** 2).astype(np.float32)
    phase = (rng.random(count) * (2 * math.pi)).astype(np.float32)
    waves_x, waves_y = ((2 * math.pi * f(angle) / period).astype(np.float32) for f in (np.cos, np.sin))
    striped = np.flatnonzero((contrast > 0)[spots.leaf])
    leaf = spots.leaf[striped]
    wave = waves_x[leaf] * spots.column[striped] + waves_y[leaf] * spots.row[striped] + phase[leaf]
    light = np.zeros(len(spots.leaf), np.float32)
    light[striped] = contrast[leaf] * np.clip(hardness[leaf] * np.sin(wave.astype(np.float32)), -1, 1)
    return light


def _textures(rng: np.random.Generator, count: int, spots: Spots, look: LeafStyle, zoom: int, n: int) -> np.ndarray:
    """A piece of one of a few 1/f^gamma fields on every large leaf, n being the side of the finished image."""
    low, high = look.gamma
    fields = np.stack([field(rng, n, low + (high - low) * (k + rng.random()) / _FIELDS) for k in range(_FIELDS)])
    which = rng.integers(0, _FIELDS, count)
    shift_row, shift_column = rng.integers(0, n, (2, count))
    strength = (look.texture * rng.random(count) ** 2).astype(np.float32)
    leaf = spots.leaf
    row = which[leaf] * n + (spots.row // zoom + shift_row[leaf]) % n
    column = (spots.column // zoom + shift_column[leaf]) % n
    return strength[leaf] * fields.reshape(-1)[row * n + column]


def field(rng: np.random.Generator, n: int, gamma: float) -> np.ndarray:
    """Periodic Gaussian noise (n, n) float32 with amplitude spectrum 1/f^gamma, of mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((n, n))) * frequency**-gamma, (n, n))
    return (noise / noise.std()).astype(np.float32)
