"""Two arms, seed by seed and image by image."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Scores = Mapping[str, Mapping[int, Mapping[str, float]]]
"""PSNR in dB by arm, seed and image."""


@dataclass(frozen=True)
class Pair:
    """An arm and the reference on the seeds and images that both have.

    arm, reference: (seeds, images), PSNR in dB, rows and columns in the same order.
    remark:         what was left out, or None.
    """

    arm: np.ndarray
    reference: np.ndarray
    remark: str | None


def check(scores: Scores, reference: str) -> list[str]:
    """The images to compare on, in order: those with a finite PSNR under every arm and seed.

    An infinite PSNR, of a image that equals its target, has no place in a mean; its image is left out of all arms,
    so that their means stay comparable. Raises ValueError where the reference is missing, an arm is empty, seeds or
    arms were scored on different images, a score is NaN, or no image is left.
    """
    if reference not in scores:
        known = ", ".join(scores) or "none"
        raise ValueError(f"reference={reference!r} is no arm of this study; its arms are {known}")
    tables = {(arm, seed): table for arm, seeds in scores.items() for seed, table in seeds.items()}
    for arm, seeds in scores.items():
        if not seeds:
            raise ValueError(f"arm {arm!r} has no seed, so there is nothing to compare; leave it out or run it")
    first, images = next((place, list(table)) for place, table in tables.items())
    for (arm, seed), table in tables.items():
        if set(table) != set(images):
            odd = ", ".join(sorted(set(table) ^ set(images))[:5])
            raise ValueError(
                f"arm {arm!r}, seed {seed} and arm {first[0]!r}, seed {first[1]} were scored on different images "
                f"({odd}); score all on the same ones"
            )
        for image, score in table.items():
            if math.isnan(score) or score == -math.inf:
                raise ValueError(
                    f"arm {arm!r}, seed {seed} has a PSNR of {score} on {image}; a number or inf is needed: score "
                    "that run again, or leave it out"
                )
    finite = [image for image in images if all(math.isfinite(table[image]) for table in tables.values())]
    if not finite:
        raise ValueError("no image has a finite PSNR under every arm and seed; compare on other pictures")
    return finite


def pair(scores: Scores, arm: str, reference: str, images: list[str]) -> Pair:
    """The two arms on the seeds that both have. Raises ValueError where there is none."""
    seeds = sorted(set(scores[arm]) & set(scores[reference]))
    if not seeds:
        raise ValueError(
            f"arms {arm!r} and {reference!r} share no seed ({_listed(scores[arm])} against "
            f"{_listed(scores[reference])}); run them with the same seeds"
        )
    remarks = [
        f"{name} alone has seed{'s' * (len(extra) > 1)} {_listed(extra)}, which had to be left out"
        for name in (arm, reference)
        if (extra := set(scores[name]) - set(seeds))
    ]
    lost = [name for name in next(iter(scores[arm].values())) if name not in images]
    if lost:
        remarks.append(f"left out, since some PSNR on them is infinite: {', '.join(sorted(lost))}")

    def table(name: str) -> np.ndarray:
        return np.array([[scores[name][seed][image] for image in images] for seed in seeds], dtype=float)

    return Pair(table(arm), table(reference), "; ".join(remarks) or None)


def _listed(seeds: Mapping[int, object] | set[int]) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds))
