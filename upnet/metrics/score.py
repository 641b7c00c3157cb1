"""The numbers of one picture, and their mean over a data set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["PSNR_CAP", "MeanScore", "Score", "cap_psnr", "gain", "mean"]

PSNR_CAP = 100.0
"""The most that one image adds to a mean PSNR, in dB. It is what an output counts that equals its target.

PSNR is infinite there, and so would be every mean with it. Without the image, the mean of the better network is lower.
"""


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR in dB, inf for identical pictures; SSIM, at most 1; and whatever else was measured, by name."""

    psnr: float
    ssim: float
    perceptual: Mapping[str, float] = field(default_factory=dict, kw_only=True, hash=False)


@dataclass(frozen=True, slots=True)
class MeanScore(Score):
    """Means over `images` images; in `exact` of them the output equals its target, and PSNR counts as PSNR_CAP."""

    images: int
    exact: int

    @property
    def remark(self) -> str | None:
        """One sentence to print beside the mean where outputs equal their targets, else None."""
        if self.exact == 0:
            return None
        return (
            f"In {self.exact} of {self.images} images the output equals its target: PSNR is infinite, and counts as "
            f"{PSNR_CAP:g} dB in the mean."
        )


def cap_psnr(psnr: float | str) -> float:
    """A PSNR as it counts in means, in dB; "inf" is how JSON files write infinity."""
    return min(float(psnr), PSNR_CAP)


def gain(before: float | str, after: float | str) -> float:
    """after − before, in dB or another unit: 0 for two equal values, also where both are infinite; never NaN."""
    one, other = float(before), float(after)
    return 0.0 if one == other else other - one


def mean(scores: Sequence[Score]) -> MeanScore:
    """Mean over images of each image's own PSNR, at most PSNR_CAP, its SSIM and its further measures.

    Raises ValueError for no scores at all, and where one is not a number.
    """
    if not scores:
        raise ValueError("mean: at least one picture's score is needed; got none")
    if any(math.isnan(value) for score in scores for value in (score.psnr, score.ssim, *score.perceptual.values())):
        raise ValueError("mean: a picture's score is not a number; score it again before averaging")
    count = len(scores)
    return MeanScore(
        math.fsum(cap_psnr(score.psnr) for score in scores) / count,
        math.fsum(score.ssim for score in scores) / count,
        count,
        sum(math.isinf(score.psnr) for score in scores),
        perceptual={
            name: math.fsum(score.perceptual[name] for score in scores) / count for name in scores[0].perceptual
        },
    )
