"""Pairing an arm with the reference by seed and image."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from upnet.utils.errors import UserError, join_or

Scores = Mapping[str, Mapping[int, Mapping[str, float]]]
"""PSNR in dB by arm, seed and image."""


@dataclass(frozen=True)
class PairedScores:
    """An arm and the reference on the seeds and images that both have.

    arm, reference: (seeds, images), PSNR in dB, rows and columns in the same order.
    remark:         what was excluded, or None.
    """

    arm: np.ndarray
    reference: np.ndarray
    remark: str | None


def comparable_images(scores: Scores, reference: str) -> list[str]:
    """The images with a finite PSNR for every arm and seed, in order.

    A PSNR is infinite where the output equals the target, and would make the mean infinite. Such an image is excluded
    from all arms, which keeps their means comparable.

    Raises UserError where the reference is missing, an arm has no seeds, arms or seeds were evaluated on different
    images, a PSNR is NaN, or no image is left.

    >>> comparable_images({"a": {0: {"x": 30.0, "y": math.inf}}, "b": {0: {"x": 31.0, "y": 60.0}}}, "a")
    ['x']
    """
    if reference not in scores:
        raise UserError(
            "the reference is not an arm of this study",
            setting="study.reference",
            value=reference,
            allowed=join_or(scores) if scores else "",
        )
    for arm, seeds in scores.items():
        if not seeds:
            raise UserError(f"arm {arm} has no seeds", cure="Train the arm, or remove it")
    psnr_by_run = {(arm, seed): by_image for arm, seeds in scores.items() for seed, by_image in seeds.items()}
    (first_arm, first_seed), first_run = next(iter(psnr_by_run.items()))
    images = list(first_run)
    for (arm, seed), by_image in psnr_by_run.items():
        if set(by_image) != set(images):
            differing = ", ".join(sorted(set(by_image) ^ set(images))[:5])
            raise UserError(
                f"arm {arm}, seed {seed} and arm {first_arm}, seed {first_seed} were evaluated on different images "
                f"({differing})",
                cure="Evaluate all on the same images",
            )
        for image, psnr in by_image.items():
            if math.isnan(psnr) or psnr == -math.inf:
                raise UserError(
                    f"arm {arm}, seed {seed} has a PSNR of {psnr} on {image}",
                    allowed="a number or inf",
                    cure="Evaluate that run again, or remove it",
                )
    finite = [image for image in images if all(math.isfinite(by_image[image]) for by_image in psnr_by_run.values())]
    if not finite:
        raise UserError("no image has a finite PSNR for every arm and seed", cure="Evaluate on other images")
    return finite


def pair_scores(scores: Scores, arm: str, reference: str, images: list[str]) -> PairedScores:
    """The scores of two arms on the seeds that both have.

    images: as `comparable_images` returns them.

    Raises UserError where the arms have no common seed.

    >>> pair_scores({"a": {0: {"x": 30.0}, 1: {"x": 30.5}}, "b": {0: {"x": 31.0}}}, "a", "b", ["x"]).remark
    'excluded: seed 1, which only a has'
    """
    seeds = sorted(set(scores[arm]) & set(scores[reference]))
    if not seeds:
        listed_seeds = f"{_join_seeds(scores[arm])} and {_join_seeds(scores[reference])}"
        raise UserError(
            f"arms {arm} and {reference} have no common seed ({listed_seeds})",
            cure="Train both with the same seeds",
        )
    remarks = [
        f"excluded: seed{'s' * (len(extra) > 1)} {_join_seeds(extra)}, which only {name} has"
        for name in (arm, reference)
        if (extra := set(scores[name]) - set(seeds))
    ]
    infinite = [name for name in next(iter(scores[arm].values())) if name not in images]
    if infinite:
        remarks.append(f"excluded because of an infinite PSNR: {', '.join(sorted(infinite))}")

    def table(name: str) -> np.ndarray:
        return np.array([[scores[name][seed][image] for image in images] for seed in seeds], dtype=float)

    return PairedScores(table(arm), table(reference), "; ".join(remarks) or None)


def _join_seeds(seeds: Iterable[int]) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds))
