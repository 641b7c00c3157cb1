"""How often a study's interval holds the truth: `python benchmarks/intervals.py`.

Every cell is that many simulated studies of two arms with a known Δ: n seeds by m pictures of differences with a given
split of their variance over seeds, pictures and the rest. The coverage is the same for every standard deviation, since
the interval scales with the scores; 0.07 dB is drawn, the middle of what is met between close models. Coverage of a
true Δ of 0 is also what two equal arms are not called different by.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from upnet.study.statistics import compare
from upnet.study.statistics.crossed import half_width, mean_squares, t_quantile

SEEDS, PICTURES = (3, 5, 10), (5, 14, 100)
DEVIATION = 0.07
SPLITS = {
    "identical arms, no seed effect": (0.0, 0.0, 1.0),
    "identical arms": (0.4, 0.0, 0.6),
    "seeds": (0.9, 0.05, 0.05),
    "pictures": (0.05, 0.9, 0.05),
    "rest": (0.05, 0.05, 0.9),
    "seeds and pictures": (0.45, 0.45, 0.1),
    "a third each": (1 / 3, 1 / 3, 1 / 3),
    "more pictures": (0.15, 0.5, 0.35),
    "more seeds": (0.5, 0.15, 0.35),
}
Method = Callable[[np.ndarray], np.ndarray]
"""(count, n, m) differences to whether the interval holds 0, (count,)."""
TAILS = ("normal", "Laplace", "Student, 3 degrees", "lognormal")


def drawn(tail: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Picture effects of mean 0 and variance 1."""
    if tail == "Laplace":
        return rng.laplace(scale=0.5**0.5, size=shape)
    if tail == "Student, 3 degrees":
        return rng.standard_t(3, size=shape) / 3**0.5
    if tail == "lognormal":  # skewness 1.75: most pictures the same, a few far better
        sigma = 0.5
        raw = np.exp(rng.normal(scale=sigma, size=shape))
        return (raw - np.exp(sigma**2 / 2)) / np.sqrt((np.exp(sigma**2) - 1) * np.exp(sigma**2))
    return rng.normal(size=shape)


def studies(
    count: int, n: int, m: int, split: tuple[float, float, float], rng: np.random.Generator, tail: str = "normal"
) -> np.ndarray:
    """(count, n, m) differences in dB around a Δ of 0."""
    seed, picture, rest = (DEVIATION * share**0.5 for share in split)
    return (
        seed * rng.normal(size=(count, n, 1))
        + picture * drawn(tail, (count, 1, m), rng)
        + rest * rng.normal(size=(count, n, m))
    )


def ours(differences: np.ndarray) -> np.ndarray:
    """Whether the interval holds 0, (count,)."""
    table = mean_squares(differences)
    return np.abs(table.mean) <= half_width(table, 0.05)


def on_seeds(differences: np.ndarray) -> np.ndarray:
    """Student's t on the means of the seeds: these pictures are all there are."""
    means = differences.mean(axis=2)
    count = means.shape[1]
    return np.abs(means.mean(axis=1)) <= t_quantile(count - 1, 0.05) * means.std(axis=1, ddof=1) / count**0.5


def on_pictures(differences: np.ndarray) -> np.ndarray:
    """Student's t on the means of the pictures: these seeds are all there are."""
    return on_seeds(differences.transpose(0, 2, 1))


def pigeonhole(differences: np.ndarray, resamples: int = 400) -> np.ndarray:
    """Owen's bootstrap, seeds and pictures drawn anew independently, and its plain percentiles."""
    rng = np.random.default_rng(0)
    n, m = differences.shape[1:]
    rows = rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n  # (resamples, n)
    columns = rng.multinomial(m, np.full(m, 1 / m), size=resamples) / m
    means = np.stack([((rows @ table) * columns).sum(axis=1) for table in differences])
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return (low <= 0) & (high >= 0)


def print_grid(title: str, rows: dict[str, list[float]]) -> None:
    print(f"\n{title}\n| |" + "".join(f" {n} × {m} |" for n in SEEDS for m in PICTURES))
    print("|---|" + "---|" * (len(SEEDS) * len(PICTURES)))
    for name, row in rows.items():
        print(f"| {name} |" + "".join(f" {100 * held:.1f} |" for held in row))


def time_of_a_study(arms: int, n: int, m: int) -> float:
    """Seconds that `compare` takes, with SciPy loaded."""
    rng = np.random.default_rng(0)
    scores = {
        f"arm {arm}": {
            seed: {f"picture {picture}": float(value) for picture, value in enumerate(row)}
            for seed, row in enumerate(30 + studies(1, n, m, SPLITS["a third each"], rng)[0])
        }
        for arm in range(arms)
    }
    compare({name: scores[name] for name in list(scores)[:2]}, "arm 0")
    start = time.perf_counter()
    compare(scores, "arm 0")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the 95 % interval over simulated studies.")
    parser.add_argument("--studies", type=int, default=10_000, help="of every cell; at most 1000 for the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    arguments = parser.parse_args()
    start = time.perf_counter()

    def row(method: Method, split: str, tail: str = "normal", count: int = arguments.studies) -> list[float]:
        return [
            float(
                method(studies(count, n, m, SPLITS[split], np.random.default_rng((arguments.seed, n, m)), tail)).mean()
            )
            for n in SEEDS
            for m in PICTURES
        ]

    print_grid(
        f"Coverage in %, {arguments.studies} studies each, by what the variance comes from (seeds × pictures)",
        {split: row(ours, split) for split in SPLITS},
    )
    print_grid(
        "The same, half of the variance from pictures, by the distribution of the pictures' effects",
        {tail: row(ours, "more pictures", tail) for tail in TAILS},
    )
    others: dict[str, Method] = {"t on seeds": on_seeds, "t on pictures": on_pictures}
    print_grid(
        "The same, a third of the variance from each, by method",
        {
            **{name: row(method, "a third each") for name, method in {"ours": ours, **others}.items()},
            "pigeonhole, percentiles": row(pigeonhole, "a third each", count=min(arguments.studies, 1000)),
        },
    )
    print(f"\nsimulated in {time.perf_counter() - start:.1f} s")
    print(f"compare, 15 arms × 10 seeds × 100 pictures: {time_of_a_study(15, 10, 100):.2f} s")


if __name__ == "__main__":
    main()
