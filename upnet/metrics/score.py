"""The numbers of one picture, and their mean over a data set."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Mean", "Score", "mean"]


@dataclass(frozen=True, slots=True)
class Score:
    """PSNR in dB, inf for identical pictures; SSIM, at most 1; and whatever else was measured, by name."""

    psnr: float
    ssim: float
    measures: Mapping[str, float] = field(default_factory=dict, kw_only=True, hash=False)


@dataclass(frozen=True, slots=True)
class Mean(Score):
    """Means over `pictures` pictures; `identical` more were left out, because their PSNR is infinite.

    All means are over the same pictures. Where every picture is identical to its target, they are over all of them.
    """

    pictures: int
    identical: int

    @property
    def remark(self) -> str | None:
        """One sentence to print beside the mean where pictures were left out of it, else None."""
        if self.identical == 0:
            return None
        if self.pictures == 0:
            return f"All pictures ({self.identical}) are identical to their targets: PSNR is infinite."
        were, have = ("is", "has") if self.identical == 1 else ("are", "have")
        return (
            f"{self.identical} of {self.identical + self.pictures} pictures {were} identical to the target "
            f"and {have} infinite PSNR: left out of the means."
        )


def mean(scores: Sequence[Score]) -> Mean:
    """Mean over pictures of each picture's own PSNR and SSIM; identical pictures are left out and counted.

    Raises ValueError for no scores at all, and where one is not a number.
    """
    if not scores:
        raise ValueError("mean: at least one picture's score is needed; got none")
    if any(math.isnan(value) for score in scores for value in (score.psnr, score.ssim, *score.measures.values())):
        raise ValueError("mean: a picture's score is not a number; score it again before averaging")
    finite = [score for score in scores if not math.isinf(score.psnr)]
    identical = len(scores) - len(finite)
    counted = finite or scores
    measures = {
        name: math.fsum(score.measures[name] for score in counted) / len(counted) for name in scores[0].measures
    }
    if not finite:
        return Mean(math.inf, 1.0, 0, identical, measures=measures)
    psnr = math.fsum(score.psnr for score in finite) / len(finite)
    ssim = math.fsum(score.ssim for score in finite) / len(finite)
    return Mean(psnr, ssim, len(finite), identical, measures=measures)
