"""The numbers of one picture, and their mean over a data set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["CEILING", "Mean", "Score", "capped", "gain", "mean"]

CEILING = 100.0
"""The most that one image adds to a mean PSNR, in dB. It is what an output counts that equals its target.

PSNR is infinite there, and so would be every mean with it. Without the image, the mean of the better network is lower.
"""


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR in dB, inf for identical pictures; SSIM, at most 1; and whatever else was measured, by name."""

    psnr: float
    ssim: float
    measures: Mapping[str, float] = field(default_factory=dict, kw_only=True, hash=False)


@dataclass(frozen=True, slots=True)
class Mean(Score):
    """Means over `pictures` images; in `exact` of them the output equals its target, and PSNR counts as CEILING."""

    pictures: int
    exact: int

    @property
    def remark(self) -> str | None:
        """One sentence to print beside the mean where outputs equal their targets, else None."""
        if self.exact == 0:
            return None
        return (
            f"In {self.exact} of {self.pictures} images the output equals its target: PSNR is infinite, and counts as "
            f"{CEILING:g} dB in the mean."
        )


def capped(psnr: float | str) -> float:
    """A PSNR as it counts in means, in dB; "inf" is how JSON files write infinity."""
    return min(float(psnr), CEILING)


def gain(before: float | str, after: float | str) -> float:
    """after − before, in dB or another unit: 0 for two equal values, also where both are infinite; never NaN."""
    one, other = float(before), float(after)
    return 0.0 if one == other else other - one


def mean(scores: Sequence[Score]) -> Mean:
    """Mean over images of each image's own PSNR, at most CEILING, its SSIM and its further measures.

    Raises ValueError for no scores at all, and where one is not a number.
    """
    if not scores:
        raise ValueError("mean: at least one picture's score is needed; got none")
    if any(math.isnan(value) for score in scores for value in (score.psnr, score.ssim, *score.measures.values())):
        raise ValueError("mean: a picture's score is not a number; score it again before averaging")
    count = len(scores)
    return Mean(
        math.fsum(capped(score.psnr) for score in scores) / count,
        math.fsum(score.ssim for score in scores) / count,
        count,
        sum(math.isinf(score.psnr) for score in scores),
        measures={name: math.fsum(score.measures[name] for score in scores) / count for name in scores[0].measures},
    )
