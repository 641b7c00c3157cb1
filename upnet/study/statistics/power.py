"""What the differences vary with, how small an effect a study can see, and how many seeds a smaller one would take."""

import math
from dataclasses import dataclass

import numpy as np

from upnet.study.statistics.crossed import MeanSquares, degrees_of_freedom, half_width, t_quantile, variance_of_mean

POWER = 0.8
"""How often an effect of the detectable size is found."""

EFFECT = 0.02
"""The difference in dB that seeds are counted for: papers report as much."""

MOST = 1_000_000
"""Seeds beyond which no number is looked for."""


@dataclass(frozen=True)
class VarianceShares:
    """Parts of the variance of one difference, which sum to 1; NaN where a single seed or image can't tell."""

    seed: float
    image: float
    residual: float


@dataclass(frozen=True)
class VarianceComponents:
    """Variances in dB² of one difference: of seeds, of images, and of what only this seed on this image has."""

    seed: float
    image: float
    residual: float

    @property
    def shares(self) -> VarianceShares:
        """The same as parts of their sum."""
        total = self.seed + self.image + self.residual
        if total == 0:
            return VarianceShares(0.0, 0.0, 0.0)
        return VarianceShares(self.seed / total, self.image / total, self.residual / total)

    def expected(self, seeds: int, images: int) -> MeanSquares:
        """The mean squares to expect of a study of this many seeds and images, around a mean of 0."""
        return MeanSquares(
            mean=np.zeros(()),
            seed=np.asarray(images * self.seed + self.residual),
            image=np.asarray(seeds * self.image + self.residual),
            residual=np.asarray(self.residual),
            seeds=seeds,
            images=images,
        )


def variance_components(found: MeanSquares) -> VarianceComponents:
    """By the method of moments; one that comes out negative is 0."""
    seed = (float(found.seed) - float(found.residual)) / found.images
    image = (float(found.image) - float(found.residual)) / found.seeds
    return VarianceComponents(max(seed, 0.0), max(image, 0.0), float(found.residual))


def detectable_effect(
    parts: VarianceComponents, seeds: int, images: int, alpha: float = 0.05, power: float = POWER
) -> float:
    """The smallest |Δ| in dB that such a study declares different with this power, in one comparison at this alpha.

    The interval's expected half-width is taken for the critical value of a t test with Satterthwaite's degrees of
    freedom, and the non-central t distribution for its power. Holm's correction makes it larger still.
    """
    expected = parts.expected(seeds, images)
    error = math.sqrt(variance_of_mean(expected))
    if error == 0:
        return 0.0
    return error * _shift(float(degrees_of_freedom(expected)), float(half_width(expected, alpha)) / error, power)


def seeds_needed(
    parts: VarianceComponents, images: int, effect: float = EFFECT, alpha: float = 0.05, power: float = POWER
) -> int | None:
    """How many seeds, at least 2, make the effect in dB detectable on as many images; None where no number does.

    With ever more seeds the images' part of the error stays: where that alone hides the effect, only more images
    help.
    """
    left = math.sqrt(parts.image / images)
    if left * _shift(images - 1.0, float(t_quantile(images - 1, alpha)), power) >= effect:
        return None
    high = 2
    while detectable_effect(parts, high, images, alpha, power) > effect:
        if high > MOST:
            return None
        high *= 2
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_effect(parts, middle, images, alpha, power) > effect:
            low = middle
        else:
            high = middle
    return high


def _shift(freedom: float, critical: float, power: float) -> float:
    """The non-centrality at which t exceeds the critical value with this probability."""
    from scipy.special import nctdtrinc

    return float(nctdtrinc(freedom, 1 - power, critical))
