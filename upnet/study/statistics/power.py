"""What the differences vary with, how small an effect a study can see, and how many seeds a smaller one would take."""

import math
from dataclasses import dataclass

import numpy as np

from upnet.study.statistics.crossed import Crossed, freedom, half_width, quantile, variance

POWER = 0.8
"""How often an effect of the detectable size is found."""

EFFECT = 0.02
"""The difference in dB that seeds are counted for: papers report as much."""

MOST = 1_000_000
"""Seeds beyond which no number is looked for."""


@dataclass(frozen=True)
class Shares:
    """Parts of the variance of one difference, which sum to 1; NaN where a single seed or picture can't tell."""

    seed: float
    picture: float
    residual: float


@dataclass(frozen=True)
class Components:
    """Variances in dB² of one difference: of seeds, of pictures, and of what only this seed on this picture has."""

    seed: float
    picture: float
    residual: float

    @property
    def shares(self) -> Shares:
        """The same as parts of their sum."""
        total = self.seed + self.picture + self.residual
        if total == 0:
            return Shares(0.0, 0.0, 0.0)
        return Shares(self.seed / total, self.picture / total, self.residual / total)

    def expected(self, seeds: int, pictures: int) -> Crossed:
        """The mean squares to expect of a study of this many seeds and pictures, around a mean of 0."""
        return Crossed(
            mean=np.zeros(()),
            seed=np.asarray(pictures * self.seed + self.residual),
            picture=np.asarray(seeds * self.picture + self.residual),
            residual=np.asarray(self.residual),
            seeds=seeds,
            pictures=pictures,
        )


def components(found: Crossed) -> Components:
    """By the method of moments; one that comes out negative is 0."""
    seed = (float(found.seed) - float(found.residual)) / found.pictures
    picture = (float(found.picture) - float(found.residual)) / found.seeds
    return Components(max(seed, 0.0), max(picture, 0.0), float(found.residual))


def detectable(parts: Components, seeds: int, pictures: int, alpha: float = 0.05, power: float = POWER) -> float:
    """The smallest |Δ| in dB that such a study declares different with this power, in one comparison at this alpha.

    The interval's expected half-width is taken for the critical value of a t test with Satterthwaite's degrees of
    freedom, and the non-central t distribution for its power. Holm's correction makes it larger still.
    """
    expected = parts.expected(seeds, pictures)
    error = math.sqrt(variance(expected))
    if error == 0:
        return 0.0
    return error * _shift(float(freedom(expected)), float(half_width(expected, alpha)) / error, power)


def seeds_needed(
    parts: Components, pictures: int, effect: float = EFFECT, alpha: float = 0.05, power: float = POWER
) -> int | None:
    """How many seeds, at least 2, make the effect in dB detectable on as many pictures; None where no number does.

    With ever more seeds the pictures' part of the error stays: where that alone hides the effect, only more pictures
    help.
    """
    left = math.sqrt(parts.picture / pictures)
    if left * _shift(pictures - 1.0, float(quantile(pictures - 1, alpha)), power) >= effect:
        return None
    high = 2
    while detectable(parts, high, pictures, alpha, power) > effect:
        if high > MOST:
            return None
        high *= 2
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        if detectable(parts, middle, pictures, alpha, power) > effect:
            low = middle
        else:
            high = middle
    return high


def _shift(freedom: float, critical: float, power: float) -> float:
    """The non-centrality at which t exceeds the critical value with this probability."""
    from scipy.special import nctdtrinc

    return float(nctdtrinc(freedom, 1 - power, critical))
