"""Every arm of a study against its reference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from upnet.study.statistics.crossed import half_width, mean_squares, p_value, t_quantile
from upnet.study.statistics.pairing import Pair, Scores, check, pair
from upnet.study.statistics.power import VarianceShares, detectable_effect, seeds_needed, variance_components


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that, over all of them, one false finding has at most the probability alpha.

    "A Simple Sequentially Rejective Multiple Test Procedure", https://www.jstor.org/stable/4615733
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0)
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(stepped)
    return corrected.tolist()


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed ranks over images, of (n, m) differences, n seeds by m images.

    The ranks are those of each image's mean over seeds, so the seeds are taken as they are: what it finds holds for
    these trained networks on images like these. Below six images it can't fall below 0.05.
    "Individual Comparisons by Ranking Methods", https://doi.org/10.2307/3001968
    """
    from scipy.stats import wilcoxon as signed_ranks

    per_picture = differences.mean(axis=0)
    if not per_picture.any():
        return 1.0
    return float(np.asarray(signed_ranks(per_picture))[1])


BOTH = "seeds and pictures random and crossed; mean of Howe's and Satterthwaite's half-widths"
IMAGES = "pictures random, one seed; Student's t over pictures"
SEEDS = "seeds random, one image; Student's t over seeds"
NEITHER = "one seed and one image: no interval"


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference, over the seeds and images that both have.

    mean:         the arm's mean PSNR in dB.
    difference:   arm − reference in dB; above 0 the arm is better.
    interval:     (low, high) of Δ in dB at the level, not corrected for many arms; infinite where nothing is known.
    p_value:      two-sided, of Δ = 0; below 1 − level exactly where the interval leaves 0 out.
    p_holm:       the same, corrected by Holm over the arms that can be decided; it decides the verdict. 1 for others.
    wilcoxon_p:   the second opinion: paired signed ranks over images, for these seeds.
    verdict:      "better", "worse", "tie", or "not decided: one seed", "… one picture", "… one seed and one picture".
    shares:       what the variance of one difference consists of; NaN where one seed or one image can't tell.
    detectable:   the smallest |Δ| in dB that such a comparison finds in 4 of 5 studies; NaN where not decided.
    seeds_needed: for 0.02 dB instead, on as many images; None where no number suffices, or where not decided.
    seeds, images: how many of each.
    method:       how the interval was made, in words.
    remark:       what else a reader has to know, or None.
    level:        of the interval.
    tie_within:   the difference in dB up to which arms were called a tie whatever the p-value; None for none.
    """

    arm: str
    reference: str
    mean: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    p_holm: float
    wilcoxon_p: float
    verdict: str
    shares: VarianceShares
    detectable: float
    seeds_needed: int | None
    seeds: int
    images: int
    method: str
    remark: str | None
    level: float = 0.95
    tie_within: float | None = None

    @property
    def decided(self) -> bool:
        """Whether there were seeds and images enough to decide."""
        return self.seeds > 1 and self.images > 1


def compare(scores: Scores, reference: str, level: float = 0.95, tie_within: float | None = None) -> list[Comparison]:
    """Every other arm against the reference, in the order of `scores`.

    scores: PSNR in dB by arm, seed and image. Seeds that one of two arms lacks are left out, as are images with an
        infinite PSNR somewhere, and the remark says so.
    tie_within: call arms a tie up to this difference in dB even where it is certain.

    Arms are a tie where the p-value corrected by Holm doesn't fall below 1 − level. That the two are equal doesn't
    follow: `interval` says how far apart they may be, `detectable` what could have been seen.

    Raises ValueError for an unknown reference, a level outside (0, 1), a negative tie_within, NaN, arms that share no
    seed, seeds scored on different images, and where no image has a finite PSNR throughout.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1, as 0.95 does")
    if tie_within is not None and not 0 <= tie_within < math.inf:
        raise ValueError(f"tie_within={tie_within} must be a difference in dB, 0 or above, or None")
    images = check(scores, reference)
    found = [
        _compared(arm, reference, pair(scores, arm, reference, images), level, tie_within)
        for arm in scores
        if arm != reference
    ]
    family = [one for one in found if one.decided]
    corrected = dict(zip([one.arm for one in family], holm_correction([one.p_value for one in family]), strict=True))
    return [_judged(one, corrected.get(one.arm, 1.0), len(family)) for one in found]


def _compared(arm: str, reference: str, pair: Pair, level: float, tie_within: float | None) -> Comparison:
    """All but what depends on the other arms: p_holm and the verdict."""
    differences = pair.arm - pair.reference
    seeds, images = differences.shape
    shares, smallest, needed = VarianceShares(math.nan, math.nan, math.nan), math.nan, None
    if seeds > 1 and images > 1:
        table = mean_squares(differences)
        width, p, method = float(half_width(table, 1 - level)), float(p_value(table)), BOTH
        parts = variance_components(table)
        shares = parts.shares
        smallest = detectable_effect(parts, seeds, images)
        needed = seeds_needed(parts, images)
    else:
        width, p = _one_way(differences.ravel(), 1 - level)
        method = IMAGES if images > 1 else SEEDS if seeds > 1 else NEITHER
    difference = float(differences.mean())
    return Comparison(
        arm=arm,
        reference=reference,
        mean=float(pair.arm.mean()),
        difference=difference,
        interval=(difference - width, difference + width),
        p_value=p,
        p_holm=p,
        wilcoxon_p=wilcoxon(differences),
        verdict="tie",
        shares=shares,
        detectable=smallest,
        seeds_needed=needed,
        seeds=seeds,
        images=images,
        method=method,
        remark=pair.remark,
        level=level,
        tie_within=tie_within,
    )


def _one_way(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """Half-width and p-value of Student's t over (k,) differences; nothing is known from one."""
    from scipy.special import stdtr

    count = len(values)
    if count == 1:
        return math.inf, 1.0
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(count)
    if error == 0:
        return 0.0, float(mean == 0)
    return float(t_quantile(count - 1, alpha)) * error, float(2 * stdtr(count - 1, -abs(mean) / error))


def _judged(found: Comparison, p_holm: float, arms: int) -> Comparison:
    """With the corrected p-value and the verdict that follows, and a remark where interval and verdict part."""
    alpha = 1 - found.level
    remarks = [found.remark] if found.remark else []
    if not found.decided:
        single = [f"one {what}" for what, count in (("seed", found.seeds), ("picture", found.images)) if count == 1]
        verdict = f"not decided: {' and '.join(single)}"
        unknown = " or ".join(what.removeprefix("one ") + "s" for what in single)
        remarks.append(f"nothing is known of how the difference varies over {unknown}")
    elif p_holm >= alpha:
        verdict = "tie"
        if found.p_value < alpha:
            remarks.append(
                f"the interval leaves 0 out, but among {arms} arms one such comes about by chance too easily"
            )
    elif found.tie_within is not None and abs(found.difference) <= found.tie_within:
        verdict = "tie"
        remarks.append(f"a difference is certain, but not above the {found.tie_within:g} dB that matter")
    else:
        verdict = "better" if found.difference > 0 else "worse"
    return replace(found, p_holm=p_holm, verdict=verdict, remark="; ".join(remarks) or None)
