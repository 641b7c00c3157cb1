"""Dead leaves: training images without a download."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.leaf_geometry import SHAPES, LeafDistribution, cover
from upnet.data.sources.textures import LeafStyle, paint

VERSION = 1
"""Counted up whenever the same parameters no longer give the same images."""

Share = Annotated[float, Ge(0), Le(1)]


class DeadLeaves(Source):
    """Images of leaves that fell on each other: occlusion edges at every scale, as in photographs.

    "Statistics of natural images: scaling in the dead leaves model" is Lee, Mumford and Huang's "Occlusion models for
    natural images" (2001, https://doi.org/10.1023/A:1011109015675); training on them is Achddou, Gousseau and Ladjal's
    "Synthetic images as a regularity prior for image restoration neural networks" (2021).

    count:        images.
    size:         their side in pixels.
    seed:         every image is a pure function of (seed, its number, the parameters below).
    radius:       the least and the largest radius of a leaf in pixels.
    exponent:     radii have density r^-exponent; 3 makes the images look alike at every scale.
    shapes:       of disc, ellipse, rectangle, polygon.
    min_aspect:      the least width / length of an ellipse or rectangle; thin ones are lines.
    oversampling: painted so many times as large, then reduced by the mean over boxes, so that edges are antialiased.
    saturation, gradient, stripes, texture, gamma: see LeafStyle.
    min_detail_radius:        the radius in pixels from which a leaf carries gradient, stripes and texture.
    blur:         the largest standard deviation in pixels of a Gaussian blur, drawn image by image; lenses blur.

    Raises ValueError for parameters out of range.
    """

    name = "dead_leaves"

    def __init__(
        self,
        count: Annotated[int, Ge(1)] = 20,
        size: Annotated[int, Ge(16)] = 256,
        seed: Annotated[int, Ge(0)] = 0,
        radius: Sequence[float] = (1.5, 100.0),
        exponent: Annotated[float, Gt(0)] = 3.0,
        shapes: Sequence[str] = ("disc", "ellipse", "rectangle", "polygon"),
        min_aspect: Annotated[float, Gt(0), Le(1)] = 0.1,
        oversampling: Annotated[int, Ge(1)] = 2,
        saturation: Annotated[float, Ge(0)] = 1.0,
        gradient: Share = 0.3,
        stripes: Share = 0.15,
        texture: Share = 0.3,
        gamma: Sequence[float] = (0.5, 1.5),
        min_detail_radius: Annotated[float, Ge(0)] = 6.0,
        blur: Annotated[float, Ge(0)] = 0.5,
    ) -> None:
        unknown = [shape for shape in shapes if shape not in SHAPES]
        if unknown or not shapes:
            raise ValueError(f"DeadLeaves: shapes={list(shapes)} must be some of {', '.join(SHAPES)}")
        if len(radius) != 2 or not 0 < radius[0] < radius[1]:
            raise ValueError(
                f"DeadLeaves: radius must be [least, largest] with 0 < least < largest; got {list(radius)}"
            )
        if len(gamma) != 2 or not 0 <= gamma[0] <= gamma[1]:
            raise ValueError(
                f"DeadLeaves: gamma must be [least, largest] with 0 <= least <= largest; got {list(gamma)}"
            )
        for name, value, least in (("count", count, 1), ("size", size, 16), ("oversampling", oversampling, 1)):
            if value < least:
                raise ValueError(f"DeadLeaves: {name} must be {least} or larger; got {value}")
        self.count = count
        self.size = size
        self.seed = seed
        self.oversampling = oversampling
        self.blur = blur
        kinds = [SHAPES[shape] for shape in sorted(set(shapes))]
        self.law = LeafDistribution(radius[0] * oversampling, radius[1] * oversampling, exponent, kinds, min_aspect)
        self.look = LeafStyle(saturation, gradient, stripes, texture, tuple(gamma), min_detail_radius * oversampling)
        self._parameters = json.dumps([VERSION, size, seed, oversampling, blur, *_key_texts(self.law, self.look)])

    def images(self) -> Sequence[ImageEntry]:
        """Numbered from 0."""
        return [DeadLeavesEntry(self, number) for number in range(self.count)]

    def make(self, number: int) -> np.ndarray:
        """One image, (size, size, 3) uint8."""
        # As in the training stream, the number is the upper half of the counter, and no two images share a draw.
        rng = np.random.Generator(np.random.Philox(key=self.seed, counter=number << 128))
        zoom = self.oversampling
        front, leaves = cover(rng, self.size * zoom, self.law)
        canvas = paint(rng, front, leaves, self.look, zoom)
        canvas = _blurred(canvas, zoom * self.blur * rng.random())
        boxes = canvas.reshape(self.size, zoom, self.size, zoom, 3)
        return (np.clip(boxes.mean(axis=(1, 3)), 0, 1) * 255 + 0.5).astype(np.uint8)


class DeadLeavesEntry(ImageEntry):
    """One image of dead leaves, painted when it is read."""

    def __init__(self, source: DeadLeaves, number: int) -> None:
        self.name = f"{number:04d}"
        self._source = source
        self._number = number

    def compute_digest(self) -> str:
        """Of the parameters and the number."""
        return hashlib.sha256(f"{self._source._parameters} {self._number}".encode()).hexdigest()

    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """Paint it, in the size that its source asks for."""
        return self._source.make(self._number)


def _key_texts(law: LeafDistribution, look: LeafStyle) -> tuple[str, str]:
    """The parameters as text. The digest of every image and the name of every store depend on each character of it."""
    return (
        f"Law(r_min={law.r_min!r}, r_max={law.r_max!r}, exponent={law.exponent!r}, shapes={law.shapes!r}, "
        f"slender={law.min_aspect!r})",
        f"Look(saturation={look.saturation!r}, gradient={look.gradient!r}, stripes={look.stripes!r}, "
        f"texture={look.texture!r}, gamma={look.gamma!r}, large={look.min_detail_radius!r})",
    )


def _blurred(canvas: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (n, n, 3), edges repeated."""
    reach = int(np.ceil(3 * sigma))
    if reach == 0:
        return canvas
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        length = canvas.shape[axis]
        padded = np.take(canvas, np.clip(np.arange(-reach, length + reach), 0, length - 1), axis=axis)
        canvas = np.zeros_like(canvas)
        for shift, tap in enumerate(taps):
            canvas += tap * (padded[shift : shift + length] if axis == 0 else padded[:, shift : shift + length])
    return canvas
