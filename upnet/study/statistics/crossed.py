"""Confidence interval of a mean over two crossed random factors, seeds and images.

Model without replication: difference[s, i] = Δ + seed[s] + image[i] + residual[s, i], all three random with mean 0.
From the mean squares S of n seeds, I of m images and E of the residual, the variance of the mean difference is
estimated as (S + I − E) / (n m). No exact interval is known. Two approximations are:

- Satterthwaite: Student's t with (S + I − E)² / (S² / (n − 1) + I² / (m − 1)) degrees of freedom. With three seeds its
  coverage is as low as 92 % where the variance between seeds is a little larger than that between images.
  "An Approximate Distribution of Estimates of Variance Components", https://doi.org/10.2307/3002019
- Howe: each mean square with its own squared quantile, t²(n−1) S + t²(m−1) I − t²((n−1)(m−1)) E. It is exact where one
  factor dominates. Where the factors are balanced it is too wide: coverage above 98 % with three seeds and five images.
  "Approximate Confidence Limits on the Mean of X + Y Where X and Y Are Two Tabled Independent Random Variables", pages
  789–794 of https://www.tandfonline.com/toc/uasa20/69/347

Their errors have opposite signs. This module takes the mean of the two half-widths, whose coverage is 94 to 98 % for
all splits of the variance, from 3 seeds and 5 images; `benchmarks/intervals.py` computes the table. Where S + I − E is
smaller than both S and I, the smaller of these is taken, since the true variance is never below either.

Two alternatives don't keep their level with few seeds or few images; the benchmark includes them: the percentile
bootstrap over both factors ("The pigeonhole bootstrap", https://arxiv.org/abs/0712.1111), and Student's t on the means
of the seeds, which treats the images as fixed.
"""

from dataclasses import dataclass

import numpy as np

MIN_P_VALUE = 1e-100
"""Smaller p-values are returned as 0."""


@dataclass(frozen=True)
class MeanSquares:
    """Mean and mean squares of a balanced two-way table. Every array has the batch shape (...).

    mean:                  of all differences, in dB.
    seed, image, residual: mean squares in dB² with n − 1, m − 1 and (n − 1)(m − 1) degrees of freedom.
    seeds, images:         n and m.
    """

    mean: np.ndarray
    seed: np.ndarray
    image: np.ndarray
    residual: np.ndarray
    seeds: int
    images: int


def mean_squares(differences: np.ndarray) -> MeanSquares:
    """Mean and mean squares of (..., n, m) differences in dB, n seeds by m images, both at least 2.

    >>> table = mean_squares(np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]))
    >>> float(table.mean.round(3)), float(table.seed.round(3)), float(table.image.round(3))
    (0.3, 0.06, 0.02)
    """
    n, m = differences.shape[-2:]
    assert n > 1, f"the variance between seeds needs two seeds: {n}"
    assert m > 1, f"the variance between images needs two images: {m}"
    mean = differences.mean(axis=(-2, -1))
    rows = differences.mean(axis=-1) - mean[..., None]  # (..., n)
    columns = differences.mean(axis=-2) - mean[..., None]  # (..., m)
    residuals = differences - mean[..., None, None] - rows[..., :, None] - columns[..., None, :]
    return MeanSquares(
        mean=mean,
        seed=m * (rows**2).sum(axis=-1) / (n - 1),
        image=n * (columns**2).sum(axis=-1) / (m - 1),
        residual=(residuals**2).sum(axis=(-2, -1)) / ((n - 1) * (m - 1)),
        seeds=n,
        images=m,
    )


def variance_of_mean(table: MeanSquares) -> np.ndarray:
    """Variance of the mean difference, (...) in dB²; at least the smaller mean square of seeds and images / (n m)."""
    smaller = np.minimum(table.seed, table.image)
    return np.maximum(table.seed + table.image - table.residual, smaller) / (table.seeds * table.images)


def degrees_of_freedom(table: MeanSquares) -> np.ndarray:
    """Satterthwaite's degrees of freedom of `variance_of_mean`, (...); at least those of the smaller factor."""
    n, m = table.seeds, table.images
    spread = table.seed**2 / (n - 1) + table.image**2 / (m - 1)
    lowest = min(n, m) - 1.0
    ratio = np.divide(
        (variance_of_mean(table) * n * m) ** 2, spread, out=np.full_like(spread, lowest), where=spread > 0
    )
    return np.maximum(ratio, lowest)


def half_width(table: MeanSquares, alpha: float | np.ndarray) -> np.ndarray:
    """Half-width, (...) in dB, of the interval with confidence level 1 − alpha.

    alpha: a number or an array (...).

    >>> table = mean_squares(np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]))
    >>> float(half_width(table, 0.05).round(3))
    0.946
    """
    n, m = table.seeds, table.images
    seed, image, residual = (t_quantile(df, alpha) ** 2 for df in (n - 1, m - 1, (n - 1) * (m - 1)))
    combined = seed * table.seed + image * table.image - residual * table.residual
    howe = np.maximum(combined, np.minimum(seed * table.seed, image * table.image)) / (n * m)
    satterthwaite = t_quantile(degrees_of_freedom(table), alpha) * np.sqrt(variance_of_mean(table))
    return (np.sqrt(howe) + satterthwaite) / 2


def p_value(table: MeanSquares) -> np.ndarray:
    """Two-sided p-value of Δ = 0, (...): the alpha at which the interval ends at 0, so that the two always agree.

    >>> table = mean_squares(np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]))
    >>> float(p_value(table).round(3))
    0.187
    """
    size = np.abs(table.mean)
    low, high = np.full_like(size, np.log(MIN_P_VALUE)), np.zeros_like(size)
    for _ in range(64):
        middle = (low + high) / 2
        contains_0 = half_width(table, np.exp(middle)) > size
        low, high = np.where(contains_0, middle, low), np.where(contains_0, high, middle)
    p = np.where(high <= np.log(MIN_P_VALUE) + 1, 0.0, np.exp(high))
    return np.where(size == 0, 1.0, p)


def t_quantile(freedom: float | np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    """The value that |t| of Student's distribution exceeds with probability alpha.

    freedom: degrees of freedom.

    >>> float(t_quantile(10, 0.05).round(3))
    2.228
    """
    from scipy.special import stdtrit

    return -stdtrit(freedom, np.asarray(alpha) / 2)
