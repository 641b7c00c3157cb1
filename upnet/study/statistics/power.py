"""Variance components of a difference, the smallest detectable effect, and the number of seeds for a given effect."""

import math
from dataclasses import dataclass

import numpy as np

from upnet.study.statistics.crossed import MeanSquares, degrees_of_freedom, half_width, t_quantile, variance_of_mean

POWER = 0.8
"""The probability with which an effect of the detectable size is detected."""

EFFECT = 0.02
"""The difference in dB for which the number of seeds is computed; papers report differences of this size."""

MAX_SEEDS = 1_000_000
"""The largest number of seeds that the search considers."""


@dataclass(frozen=True)
class VarianceShares:
    """Fractions of the variance of one difference, which sum to 1; NaN where there is one seed or one image."""

    seed: float
    image: float
    residual: float


@dataclass(frozen=True)
class VarianceComponents:
    """Variance components of one difference in dB²: between seeds, between images, and the residual."""

    seed: float
    image: float
    residual: float

    @property
    def shares(self) -> VarianceShares:
        """The components as fractions of their sum; all 0 where the sum is 0."""
        total = self.seed + self.image + self.residual
        if total == 0:
            return VarianceShares(0.0, 0.0, 0.0)
        return VarianceShares(self.seed / total, self.image / total, self.residual / total)

    def expected(self, seeds: int, images: int) -> MeanSquares:
        """The expected mean squares of a study with this many seeds and images, around a mean of 0."""
        return MeanSquares(
            mean=np.zeros(()),
            seed=np.asarray(images * self.seed + self.residual),
            image=np.asarray(seeds * self.image + self.residual),
            residual=np.asarray(self.residual),
            seeds=seeds,
            images=images,
        )


def variance_components(table: MeanSquares) -> VarianceComponents:
    """Estimates by the method of moments; negative estimates become 0.

    >>> from upnet.study.statistics.crossed import mean_squares
    >>> components = variance_components(mean_squares(np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]])))
    >>> round(components.seed, 3), round(components.image, 3), round(components.residual, 3)
    (0.02, 0.01, 0.0)
    """
    seed = (float(table.seed) - float(table.residual)) / table.images
    image = (float(table.image) - float(table.residual)) / table.seeds
    return VarianceComponents(max(seed, 0.0), max(image, 0.0), float(table.residual))


def detectable_effect(
    components: VarianceComponents, seeds: int, images: int, alpha: float = 0.05, power: float = POWER
) -> float:
    """The smallest |Δ| in dB that one comparison at level alpha detects with the given power.

    The critical value of the t test is the expected half-width of the interval, its degrees of freedom are
    Satterthwaite's, and its power follows from the non-central t distribution. Holm's correction for several
    comparisons is not included and makes the detectable effect larger.

    >>> round(detectable_effect(VarianceComponents(seed=4e-4, image=1e-4, residual=4e-4), seeds=5, images=14), 3)
    0.035
    """
    expected = components.expected(seeds, images)
    error = math.sqrt(variance_of_mean(expected))
    if error == 0:
        return 0.0
    return error * _noncentrality(
        float(degrees_of_freedom(expected)), float(half_width(expected, alpha)) / error, power
    )


def seeds_needed(
    components: VarianceComponents, images: int, effect: float = EFFECT, alpha: float = 0.05, power: float = POWER
) -> int | None:
    """The smallest number of seeds, at least 2, that makes the effect in dB detectable; None where no number does.

    More seeds don't reduce the variance between images: where it alone hides the effect, only more images help.

    >>> seeds_needed(VarianceComponents(seed=4e-4, image=1e-4, residual=4e-4), images=14)
    12
    """
    image_error = math.sqrt(components.image / images)
    if image_error * _noncentrality(images - 1.0, float(t_quantile(images - 1, alpha)), power) >= effect:
        return None
    high = 2
    while detectable_effect(components, high, images, alpha, power) > effect:
        if high > MAX_SEEDS:
            return None
        high *= 2
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_effect(components, middle, images, alpha, power) > effect:
            low = middle
        else:
            high = middle
    return high


def _noncentrality(freedom: float, critical: float, power: float) -> float:
    """The non-centrality at which t exceeds the critical value with probability `power`."""
    from scipy.special import nctdtrinc

    return float(nctdtrinc(freedom, 1 - power, critical))
