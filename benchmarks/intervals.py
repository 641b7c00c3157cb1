"""Coverage of the 95 % confidence interval of a study by simulation: `python benchmarks/intervals.py`.

Each cell of the printed tables is the percentage of simulated studies whose interval contains the true Δ, which is 0. A
study has two arms, n seeds and m images. The variance of the differences is split between seeds, images and a residual.
The coverage does not depend on the standard deviation, because the interval scales with it; the simulation uses
0.07 dB, a typical value for similar models. 100 % minus the coverage is the rate of false positives for equal arms.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from upnet.study.statistics import compare
from upnet.study.statistics.crossed import half_width, mean_squares, t_quantile

SEEDS, IMAGES = (3, 5, 10), (5, 14, 100)
DEVIATION = 0.07
"""Standard deviation of one difference in dB."""
SPLITS = {
    "identical arms, no seed effect": (0.0, 0.0, 1.0),
    "identical arms": (0.4, 0.0, 0.6),
    "seeds": (0.9, 0.05, 0.05),
    "images": (0.05, 0.9, 0.05),
    "residual": (0.05, 0.05, 0.9),
    "seeds and images": (0.45, 0.45, 0.1),
    "a third each": (1 / 3, 1 / 3, 1 / 3),
    "more images": (0.15, 0.5, 0.35),
    "more seeds": (0.5, 0.15, 0.35),
}
"""Fractions of the variance between seeds, between images, and of the residual."""

Method = Callable[[np.ndarray], np.ndarray]
"""(count, n, m) differences -> whether the interval contains 0, (count,) bool."""

DISTRIBUTIONS = ("normal", "Laplace", "Student, 3 degrees", "lognormal")
"""Distributions of the effect of an image."""


def image_effects(distribution: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random effects of images, with mean 0 and variance 1."""
    if distribution == "Laplace":
        return rng.laplace(scale=0.5**0.5, size=shape)
    if distribution == "Student, 3 degrees":
        return rng.standard_t(3, size=shape) / 3**0.5
    if distribution == "lognormal":  # skewness 1.75: similar effects for most images, much larger ones for a few
        sigma = 0.5
        raw = np.exp(rng.normal(scale=sigma, size=shape))
        return (raw - np.exp(sigma**2 / 2)) / np.sqrt((np.exp(sigma**2) - 1) * np.exp(sigma**2))
    return rng.normal(size=shape)


def simulate(
    count: int,
    n: int,
    m: int,
    split: tuple[float, float, float],
    rng: np.random.Generator,
    distribution: str = "normal",
) -> np.ndarray:
    """Differences of `count` studies in dB, (count, n, m), whose true Δ is 0. split: a value of SPLITS."""
    seed, image, residual = (DEVIATION * fraction**0.5 for fraction in split)
    return (
        seed * rng.normal(size=(count, n, 1))
        + image * image_effects(distribution, (count, 1, m), rng)
        + residual * rng.normal(size=(count, n, m))
    )


def upnet_interval(differences: np.ndarray) -> np.ndarray:
    """The interval of `upnet.study.statistics`."""
    table = mean_squares(differences)
    return np.abs(table.mean) <= half_width(table, 0.05)


def t_on_seeds(differences: np.ndarray) -> np.ndarray:
    """Student's t on the means of the seeds, which treats the images as fixed."""
    means = differences.mean(axis=2)
    count = means.shape[1]
    return np.abs(means.mean(axis=1)) <= t_quantile(count - 1, 0.05) * means.std(axis=1, ddof=1) / count**0.5


def t_on_images(differences: np.ndarray) -> np.ndarray:
    """Student's t on the means of the images, which treats the seeds as fixed."""
    return t_on_seeds(differences.transpose(0, 2, 1))


def pigeonhole(differences: np.ndarray, resamples: int = 400) -> np.ndarray:
    """Percentile interval of Owen's bootstrap, which resamples seeds and images independently.

    Owen, "The pigeonhole bootstrap", https://arxiv.org/abs/0712.1111
    """
    rng = np.random.default_rng(0)
    n, m = differences.shape[1:]
    rows = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n  # (resamples, n)
    columns = rng.multinomial(m, np.full(m, 1 / m), size=resamples) / m
    means = np.stack([((rows @ table) * columns).sum(axis=1) for table in differences])
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return (low <= 0) & (high >= 0)


def print_grid(title: str, rows: dict[str, list[float]]) -> None:
    """Print the coverage in % as a Markdown table, with a column for each number of seeds × images."""
    print(f"\n{title}\n| |" + "".join(f" {n} × {m} |" for n in SEEDS for m in IMAGES))
    print("|---|" + "---|" * (len(SEEDS) * len(IMAGES)))
    for name, row in rows.items():
        print(f"| {name} |" + "".join(f" {100 * coverage:.1f} |" for coverage in row))


def comparison_seconds(arms: int, n: int, m: int) -> float:
    """Seconds that `compare` takes for a study, without the import of SciPy."""
    rng = np.random.default_rng(0)
    scores = {
        f"arm {arm}": {
            seed: {f"image {image}": float(value) for image, value in enumerate(row)}
            for seed, row in enumerate(30 + simulate(1, n, m, SPLITS["a third each"], rng)[0])
        }
        for arm in range(arms)
    }
    compare({name: scores[name] for name in list(scores)[:2]}, "arm 0")
    start = time.perf_counter()
    compare(scores, "arm 0")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--studies", type=int, default=10_000, help="number of studies per cell; at most 1000 for the bootstrap"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation")
    options = parser.parse_args()
    start = time.perf_counter()

    def coverage(method: Method, split: str, distribution: str = "normal", count: int = options.studies) -> list[float]:
        return [
            float(
                method(
                    simulate(count, n, m, SPLITS[split], np.random.default_rng((options.seed, n, m)), distribution)
                ).mean()
            )
            for n in SEEDS
            for m in IMAGES
        ]

    print_grid(
        f"Coverage in %, {options.studies} studies per cell, by source of the variance (seeds × images)",
        {split: coverage(upnet_interval, split) for split in SPLITS},
    )
    print_grid(
        "Half of the variance between images, by distribution of the images' effects",
        {distribution: coverage(upnet_interval, "more images", distribution) for distribution in DISTRIBUTIONS},
    )
    methods: dict[str, Method] = {"upnet": upnet_interval, "t on seeds": t_on_seeds, "t on images": t_on_images}
    print_grid(
        "A third of the variance from each source, by method",
        {
            **{name: coverage(method, "a third each") for name, method in methods.items()},
            "pigeonhole, percentiles": coverage(pigeonhole, "a third each", count=min(options.studies, 1000)),
        },
    )
    print(f"\nsimulated in {time.perf_counter() - start:.1f} s")
    print(f"compare() with 15 arms × 10 seeds × 100 images: {comparison_seconds(15, 10, 100):.2f} s")


if __name__ == "__main__":
    main()
