"""Colours of the dead leaves model: base colours, gradients, stripes and 1/f textures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from upnet.data.sources.leaf_geometry import Leaves

_FIELDS = 4  # noise fields per image, each with its own exponent


@dataclass(frozen=True)
class LeafStyle:
    """How leaves are coloured. Amplitudes refer to pixel values in 0..1.

    saturation:        0 is grey, 1 is the average of photographs.
    gradient:          largest change of brightness from a leaf's centre to its border.
    stripes:           fraction of leaves with stripes, in 0..1.
    texture:           standard deviation of the strongest 1/f texture.
    gamma:             (smallest, largest) exponent of the amplitude spectrum 1/f^gamma.
    min_detail_radius: leaves with a smaller radius, in canvas pixels, have no gradient, stripes or texture.
    """

    saturation: float
    gradient: float
    stripes: float
    texture: float
    gamma: Sequence[float]
    min_detail_radius: float


class DetailPixels(NamedTuple):
    """The p canvas pixels of leaves with detail: (p,) each. leaf: index of the leaf."""

    leaf: np.ndarray
    row: np.ndarray
    column: np.ndarray


def colour_leaves(
    rng: np.random.Generator, front: np.ndarray, leaves: Leaves, style: LeafStyle, zoom: int
) -> np.ndarray:
    """Colour a canvas: (n, n, 3) float32, about 0..1.

    front:  (n, n) int32, the index of the frontmost leaf at every canvas pixel.
    leaves: all leaves.
    zoom:   canvas pixels per pixel of the final image, an integer; textures have the resolution of the final image.
    """
    visible, inverse = np.unique(front, return_inverse=True)
    leaves = leaves.take(visible)
    leaf = inverse.reshape(front.shape)
    image = _colours(rng, len(leaves), style.saturation)[leaf]
    detailed = (leaves.radius >= style.min_detail_radius)[leaf]
    pixels = DetailPixels(leaf[detailed], *np.nonzero(detailed))
    light = _gradients(rng, leaves, pixels, style)
    light += _stripes(rng, leaves, pixels, style, zoom)
    light += _textures(rng, len(leaves), pixels, style, zoom, len(front) // zoom)
    # Light and shade change all channels by similar amounts, as on real surfaces.
    tint = (1 + style.saturation * 0.15 * rng.standard_normal((len(leaves), 3))).astype(np.float32)
    image[detailed] += light[:, None] * tint[pixels.leaf]
    return image


def _colours(rng: np.random.Generator, count: int, saturation: float) -> np.ndarray:
    """(count, 3) float32: random brightness, and the weak colour-opponent contrasts of natural scenes.

    The three axes brightness, blue-yellow and red-green are nearly independent in natural images, and their contrast
    decreases in this order: Ruderman, Cronin and Chiao, "Statistics of cone responses to natural images: implications
    for visual coding" (1998, https://doi.org/10.1364/JOSAA.15.002036). Every image has its own mean brightness and its
    own colour cast.
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


def _gradients(rng: np.random.Generator, leaves: Leaves, pixels: DetailPixels, style: LeafStyle) -> np.ndarray:
    """(p,) float32: brightness that changes linearly across a leaf, with random direction and slope."""
    angle = rng.random(len(leaves)) * (2 * math.pi)
    slope = style.gradient * (2 * rng.random(len(leaves)) - 1) / leaves.radius
    slope_x, slope_y = (slope * f(angle) for f in (np.cos, np.sin))
    start = -slope_x * leaves.x - slope_y * leaves.y
    slope_x, slope_y, start = (part.astype(np.float32)[pixels.leaf] for part in (slope_x, slope_y, start))
    return slope_x * pixels.column.astype(np.float32) + slope_y * pixels.row.astype(np.float32) + start


def _stripes(rng: np.random.Generator, leaves: Leaves, pixels: DetailPixels, style: LeafStyle, zoom: int) -> np.ndarray:
    """(p,) float32: sharp or soft parallel stripes on some leaves. Periods are 2.5 to 24 pixels of the final image."""
    count = len(leaves)
    angle = rng.random(count) * (2 * math.pi)
    period = zoom * 2.5 * (24 / 2.5) ** rng.random(count)
    contrast = np.where(rng.random(count) < style.stripes, 0.04 + 0.26 * rng.random(count) ** 2, 0).astype(np.float32)
    hardness = (1 + 5 * rng.random(count) ** 2).astype(np.float32)
    phase = (rng.random(count) * (2 * math.pi)).astype(np.float32)
    waves_x, waves_y = ((2 * math.pi * f(angle) / period).astype(np.float32) for f in (np.cos, np.sin))
    striped = np.flatnonzero((contrast > 0)[pixels.leaf])
    leaf = pixels.leaf[striped]
    wave = waves_x[leaf] * pixels.column[striped] + waves_y[leaf] * pixels.row[striped] + phase[leaf]
    light = np.zeros(len(pixels.leaf), np.float32)
    light[striped] = contrast[leaf] * np.clip(hardness[leaf] * np.sin(wave.astype(np.float32)), -1, 1)
    return light


def _textures(
    rng: np.random.Generator, count: int, pixels: DetailPixels, style: LeafStyle, zoom: int, n: int
) -> np.ndarray:
    """(p,) float32: each leaf shows a part of one of _FIELDS noise fields. n: side of the final image in pixels."""
    low, high = style.gamma
    fields = np.stack([noise_field(rng, n, low + (high - low) * (k + rng.random()) / _FIELDS) for k in range(_FIELDS)])
    field = rng.integers(0, _FIELDS, count)
    shift_row, shift_column = rng.integers(0, n, (2, count))
    strength = (style.texture * rng.random(count) ** 2).astype(np.float32)
    leaf = pixels.leaf
    row = field[leaf] * n + (pixels.row // zoom + shift_row[leaf]) % n
    column = (pixels.column // zoom + shift_column[leaf]) % n
    return strength[leaf] * fields.reshape(-1)[row * n + column]


def noise_field(rng: np.random.Generator, n: int, gamma: float) -> np.ndarray:
    """Periodic Gaussian noise (n, n) float32 with amplitude spectrum 1/f^gamma, mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((n, n))) * frequency**-gamma, (n, n))
    return (noise / noise.std()).astype(np.float32)
