"""DeadLeaves: an image source of synthetic images of the dead leaves model, without a download."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from upnet.data.sources.base import ImageEntry, Source
from upnet.data.sources.leaf_geometry import SHAPES, LeafDistribution, cover_canvas
from upnet.data.sources.textures import LeafStyle, colour_leaves
from upnet.utils.errors import UserError

VERSION = 1
"""Version of the images. Increase it when the same parameters no longer give the same images."""

Fraction = Annotated[float, Ge(0), Le(1)]


class DeadLeaves(Source):
    """Images of random shapes that cover each other: occlusion edges at every scale, as in photographs.

    The model and its statistics: Lee, Mumford and Huang, "Occlusion models for natural images: a statistical study of a
    scale-invariant dead leaves model" (2001, https://doi.org/10.1023/A:1011109015675). Training on it: Achddou,
    Gousseau and Ladjal, "Synthetic images as a regularity prior for image restoration neural networks" (2021,
    https://openreview.net/forum?id=vKT8fZFGcG).

    count:             number of images.
    size:              side of the images in pixels.
    seed:              an image is a pure function of the seed, its index, and the parameters below.
    radius:            (smallest, largest) radius of a leaf in pixels.
    exponent:          the radius r has a density proportional to r^-exponent; with 3 the images are scale invariant.
    shapes:            shapes of the leaves: a list of disc, ellipse, rectangle and polygon.
    min_aspect:        the smallest width / length of an ellipse or rectangle, in (0, 1]; small values give lines.
    oversampling:      images are generated at this multiple of their size and reduced by a box filter, to avoid
                       aliasing.
    saturation, gradient, stripes, texture, gamma: see LeafStyle.
    min_detail_radius: leaves of at least this radius in pixels have gradients, stripes and textures.
    blur:              largest standard deviation in pixels of the Gaussian blur of an image, which imitates a lens.

    Raises UserError for parameters out of range.

    >>> image = DeadLeaves(count=1, size=32).images()[0].read()
    >>> image.shape, image.dtype
    ((32, 32, 3), dtype('uint8'))
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
        gradient: Fraction = 0.3,
        stripes: Fraction = 0.15,
        texture: Fraction = 0.3,
        gamma: Sequence[float] = (0.5, 1.5),
        min_detail_radius: Annotated[float, Ge(0)] = 6.0,
        blur: Annotated[float, Ge(0)] = 0.5,
    ) -> None:
        if not shapes or any(shape not in SHAPES for shape in shapes):
            raise UserError(
                "unknown shape" if shapes else "no shape",
                setting="shapes",
                value=list(shapes),
                allowed=f"a list of {', '.join(SHAPES)}",
            )
        if len(radius) != 2 or not 0 < radius[0] < radius[1]:
            raise _range_error("radius", radius, "0 < smallest < largest")
        if len(gamma) != 2 or not 0 <= gamma[0] <= gamma[1]:
            raise _range_error("gamma", gamma, "0 <= smallest <= largest")
        for setting, value, minimum in (("count", count, 1), ("size", size, 16), ("oversampling", oversampling, 1)):
            if value < minimum:
                raise UserError("too small", setting=setting, value=value, allowed=f"{minimum} or larger")
        self.count = count
        self.size = size
        self.seed = seed
        self.oversampling = oversampling
        self.blur = blur
        shape_codes = [SHAPES[shape] for shape in sorted(set(shapes))]
        self.distribution = LeafDistribution(
            radius[0] * oversampling, radius[1] * oversampling, exponent, shape_codes, min_aspect
        )
        self.style = LeafStyle(saturation, gradient, stripes, texture, tuple(gamma), min_detail_radius * oversampling)
        texts = _distribution_text(self.distribution), _style_text(self.style)
        self._parameters = json.dumps([VERSION, size, seed, oversampling, blur, *texts])

    def images(self) -> Sequence[ImageEntry]:
        """The entries; their names are 0000, 0001, …"""
        return [DeadLeavesEntry(self, index) for index in range(self.count)]

    def generate(self, index: int) -> np.ndarray:
        """Generate the image of an index, (size, size, 3) uint8."""
        # The index is the upper half of the counter: no two images share random numbers.
        rng = np.random.Generator(np.random.Philox(key=self.seed, counter=index << 128))
        zoom = self.oversampling
        front, leaves = cover_canvas(rng, self.size * zoom, self.distribution)
        canvas = colour_leaves(rng, front, leaves, self.style, zoom)
        canvas = _gaussian_blur(canvas, zoom * self.blur * rng.random())
        boxes = canvas.reshape(self.size, zoom, self.size, zoom, 3)
        return (np.clip(boxes.mean(axis=(1, 3)), 0, 1) * 255 + 0.5).astype(np.uint8)


def _range_error(setting: str, value: Sequence[float], rule: str) -> UserError:
    return UserError(
        "not a valid range", setting=setting, value=list(value), allowed=f"[smallest, largest] with {rule}"
    )


class DeadLeavesEntry(ImageEntry):
    """One image of the dead leaves model, generated when it is read."""

    def __init__(self, source: DeadLeaves, index: int) -> None:
        self.name = f"{index:04d}"
        self._source = source
        self._index = index

    def compute_digest(self) -> str:
        """A hash of the parameters and the index."""
        return hashlib.sha256(f"{self._source._parameters} {self._index}".encode()).hexdigest()

    def read(self, max_pixels: int | None = None) -> np.ndarray:
        """Generate the image, (size, size, 3) uint8. `max_pixels` is ignored."""
        return self._source.generate(self._index)


# The digests of the images, and therefore the names of their stores, depend on every character of these two texts. They
# contain the field names of the first version, so that existing stores are found.


def _distribution_text(leaves: LeafDistribution) -> str:
    return (
        f"Law(r_min={leaves.r_min!r}, r_max={leaves.r_max!r}, exponent={leaves.exponent!r}, shapes={leaves.shapes!r}, "
        f"slender={leaves.min_aspect!r})"
    )


def _style_text(style: LeafStyle) -> str:
    return (
        f"Look(saturation={style.saturation!r}, gradient={style.gradient!r}, stripes={style.stripes!r}, "
        f"texture={style.texture!r}, gamma={style.gamma!r}, large={style.min_detail_radius!r})"
    )


def _gaussian_blur(canvas: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (n, n, 3) with replicated borders."""
    radius = int(np.ceil(3 * sigma))
    if radius == 0:
        return canvas
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-3)) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        length = canvas.shape[axis]
        padded = np.take(canvas, np.clip(np.arange(-radius, length + radius), 0, length - 1), axis=axis)
        canvas = np.zeros_like(canvas)
        for shift, weight in enumerate(weights):
            canvas += weight * (padded[shift : shift + length] if axis == 0 else padded[:, shift : shift + length])
    return canvas
