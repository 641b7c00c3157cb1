"""Score: the metrics of one image; MeanScore: their means over a data set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["PSNR_CAP", "MeanScore", "Score", "cap_psnr", "gain", "mean"]

PSNR_CAP = 100.0
"""Largest PSNR in dB that one image contributes to a mean.

The PSNR of an output that equals its target is infinite, and would make the mean infinite. Leaving such images out
would lower the mean of a network that reproduces more images exactly.
"""


@dataclass(frozen=True, slots=True)
class Score:
    """Metrics of one image.

    psnr:       in dB; inf where the output equals the target.
    ssim:       at most 1.
    perceptual: name of a perceptual metric -> value.
    """

    psnr: float
    ssim: float
    perceptual: Mapping[str, float] = field(default_factory=dict, kw_only=True, hash=False)


@dataclass(frozen=True, slots=True)
class MeanScore(Score):
    """Means over images.

    images: number of images.
    exact:  number of images whose output equals the target; their PSNR counts as PSNR_CAP.
    """

    images: int
    exact: int

    @property
    def remark(self) -> str | None:
        """A sentence to print next to the mean where outputs equal their targets; else None."""
        if self.exact == 0:
            return None
        return (
            f"In {self.exact} of {self.images} images the output equals its target: PSNR is infinite, and counts as "
            f"{PSNR_CAP:g} dB in the mean."
        )


def cap_psnr(psnr: float | str) -> float:
    """The contribution of a PSNR to a mean, in dB, at most PSNR_CAP. "inf" is infinity as JSON files store it.

    >>> cap_psnr(31.5), cap_psnr("inf")
    (31.5, 100.0)
    """
    return min(float(psnr), PSNR_CAP)


def gain(before: float | str, after: float | str) -> float:
    """after - before; 0 for two equal values, also where both are infinite; never NaN.

    >>> gain(30.0, 31.5), gain("inf", "inf")
    (1.5, 0.0)
    """
    first, second = float(before), float(after)
    return 0.0 if first == second else second - first


def mean(scores: Sequence[Score]) -> MeanScore:
    """Mean over images of each metric; a PSNR counts at most PSNR_CAP.

    Raises ValueError for an empty sequence and for NaN.

    >>> mean([Score(30.0, 0.8), Score(math.inf, 1.0)])
    MeanScore(psnr=65.0, ssim=0.9, perceptual={}, images=2, exact=1)
    """
    if not scores:
        raise ValueError("mean: at least one score is needed; got none")
    if any(math.isnan(value) for score in scores for value in (score.psnr, score.ssim, *score.perceptual.values())):
        raise ValueError("mean: a score is NaN")
    count, names = len(scores), scores[0].perceptual
    return MeanScore(
        math.fsum(cap_psnr(score.psnr) for score in scores) / count,
        math.fsum(score.ssim for score in scores) / count,
        count,
        sum(math.isinf(score.psnr) for score in scores),
        perceptual={name: math.fsum(score.perceptual[name] for score in scores) / count for name in names},
    )
