"""An interval for a mean over two crossed random factors, seeds and images.

Model, without replication: difference[s, p] = Δ + seed[s] + image[p] + rest[s, p], all three random with mean 0. With
the mean squares S of n seeds, P of m images and E of the rest, the mean difference has the estimated variance
(S + P − E) / (n m). No exact interval is known. Two approximations are:

- Satterthwaite's: Student's t on (S + P − E)² / (S² / (n − 1) + P² / (m − 1)) degrees of freedom. With three seeds it
  covers as little as 92 % where the seeds' part is a little larger than the images'.
  "An Approximate Distribution of Estimates of Variance VarianceComponents", https://doi.org/10.2307/3002019
- Howe's: each mean square with its own squared quantile, t²(n−1) S + t²(m−1) P − t²((n−1)(m−1)) E. It is exact where
  one factor dominates, and too wide, above 98 % with three seeds and five images, where they balance.
  "Approximate Confidence Limits on the Mean of X + Y Where X and Y Are Two Tabled Independent Random Variables", pages
  789–794 of https://www.tandfonline.com/toc/uasa20/69/347

Their errors have opposite signs, and the mean of the two half-widths, which is what this module takes, covers at 94 to
98 % for all splits of the variance and from 3 seeds and 5 images up: `benchmarks/intervals.py` has the table. Where
S + P − E falls below the smaller of S and P, that one is taken: the true variance is never below either.

Neither the percentile bootstrap over both factors, made for many levels of each ("The pigeonhole bootstrap",
https://arxiv.org/abs/0712.1111), nor t on the means of the seeds, for which these images are all there are, holds its
level with few seeds or few images; the benchmark has both beside ours.
"""

from dataclasses import dataclass

import numpy as np

SMALLEST = 1e-100
"""The smallest p-value that is told apart from 0."""


@dataclass(frozen=True)
class MeanSquares:
    """What is to be known of a balanced two-way table; every array has the batch shape (...).

    mean:                     of all differences, in dB.
    seed, image, residual:  mean squares in dB², on n − 1, m − 1 and (n − 1)(m − 1) degrees of freedom.
    """

    mean: np.ndarray
    seed: np.ndarray
    image: np.ndarray
    residual: np.ndarray
    seeds: int
    images: int


def mean_squares(differences: np.ndarray) -> MeanSquares:
    """Mean and mean squares of (..., n, m) differences, n seeds by m images, both at least 2."""
    n, m = differences.shape[-2:]
    assert n > 1, f"one seed has no variance: {n}"
    assert m > 1, f"one image has no variance: {m}"
    mean = differences.mean(axis=(-2, -1))
    rows = differences.mean(axis=-1) - mean[..., None]  # (..., n)
    columns = differences.mean(axis=-2) - mean[..., None]  # (..., m)
    rest = differences - mean[..., None, None] - rows[..., :, None] - columns[..., None, :]
    return MeanSquares(
        mean=mean,
        seed=m * (rows**2).sum(axis=-1) / (n - 1),
        image=n * (columns**2).sum(axis=-1) / (m - 1),
        residual=(rest**2).sum(axis=(-2, -1)) / ((n - 1) * (m - 1)),
        seeds=n,
        images=m,
    )


def variance_of_mean(found: MeanSquares) -> np.ndarray:
    """Of the mean difference, (...) in dB², never below the smaller mean square's."""
    smaller = np.minimum(found.seed, found.image)
    return np.maximum(found.seed + found.image - found.residual, smaller) / (found.seeds * found.images)


def degrees_of_freedom(found: MeanSquares) -> np.ndarray:
    """Satterthwaite's degrees of freedom of `variance`, (...), never below the smaller factor's."""
    n, m = found.seeds, found.images
    spread = found.seed**2 / (n - 1) + found.image**2 / (m - 1)
    least = min(n, m) - 1.0
    ratio = np.divide((variance_of_mean(found) * n * m) ** 2, spread, out=np.full_like(spread, least), where=spread > 0)
    return np.maximum(ratio, least)


def half_width(found: MeanSquares, alpha: float | np.ndarray) -> np.ndarray:
    """Half the width, (...) in dB, of the interval of level 1 − alpha; alpha is a number or an array (...)."""
    n, m = found.seeds, found.images
    seed, image, rest = (t_quantile(df, alpha) ** 2 for df in (n - 1, m - 1, (n - 1) * (m - 1)))
    whole = seed * found.seed + image * found.image - rest * found.residual
    howe = np.maximum(whole, np.minimum(seed * found.seed, image * found.image)) / (n * m)
    satterthwaite = t_quantile(degrees_of_freedom(found), alpha) * np.sqrt(variance_of_mean(found))
    return (np.sqrt(howe) + satterthwaite) / 2


def p_value(found: MeanSquares) -> np.ndarray:
    """Two-sided, of Δ = 0, (...): the alpha whose interval just touches 0, so that the two never disagree."""
    size = np.abs(found.mean)
    low, high = np.full_like(size, np.log(SMALLEST)), np.zeros_like(size)
    for _ in range(64):
        middle = (low + high) / 2
        reaches = half_width(found, np.exp(middle)) > size
        low, high = np.where(reaches, middle, low), np.where(reaches, high, middle)
    p = np.where(high <= np.log(SMALLEST) + 1, 0.0, np.exp(high))
    return np.where(size == 0, 1.0, p)


def t_quantile(freedom: float | np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    """Student's two-sided t: what |t| exceeds with probability alpha."""
    from scipy.special import stdtrit

    return -stdtrit(freedom, np.asarray(alpha) / 2)
