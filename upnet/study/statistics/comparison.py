"""Comparison of every arm of a study with its reference."""

import math
from dataclasses import dataclass, replace

import numpy as np

from upnet.study.statistics.crossed import half_width, mean_squares, p_value, t_quantile
from upnet.study.statistics.pairing import PairedScores, Scores, comparable_images, pair_scores
from upnet.study.statistics.power import VarianceShares, detectable_effect, seeds_needed, variance_components
from upnet.study.statistics.rank_tests import holm_correction, wilcoxon_test
from upnet.utils.errors import UserError

# Descriptions of the interval's method, by the factors that are random.
SEEDS_AND_IMAGES = "seeds and images random and crossed; mean of Howe's and Satterthwaite's half-widths"
IMAGES_ONLY = "images random, one seed; Student's t over images"
SEEDS_ONLY = "seeds random, one image; Student's t over seeds"
NO_INTERVAL = "one seed and one image: no interval"


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference, over the seeds and images that both have.

    mean:         mean PSNR of the arm in dB.
    difference:   arm − reference in dB; positive where the arm is better.
    interval:     (low, high) of Δ in dB, not corrected for several arms; infinite for one seed and one image.
    p_value:      two-sided, of Δ = 0; below 1 − level exactly where the interval excludes 0.
    p_holm:       p_value after Holm's correction over the decided comparisons, which determines the verdict; 1 where
                  not decided.
    wilcoxon_p:   of Wilcoxon's signed-rank test over images, which treats the seeds as fixed.
    verdict:      "better", "worse", "tie", or "not decided: one seed", "… one image", "… one seed and one image".
    shares:       fractions of the variance of one difference; NaN for one seed or one image.
    detectable:   the smallest |Δ| in dB that is detected with a power of 80 %; NaN where not decided.
    seeds_needed: to detect 0.02 dB on the same images; None where no number suffices, or where not decided.
    seeds:        number of seeds that both arms have.
    images:       number of images.
    method:       statistical method of the interval, as text.
    remark:       exclusions and why interval and verdict differ, or None.
    level:        confidence level of the interval.
    tie_within:   differences up to this size in dB are ties whatever the p-value; None for no such margin.
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
        """Whether there are at least two seeds and two images."""
        return self.seeds > 1 and self.images > 1


def compare(scores: Scores, reference: str, level: float = 0.95, tie_within: float | None = None) -> list[Comparison]:
    """Compare every other arm with the reference, in the order of `scores`.

    scores:     PSNR in dB by arm, seed and image. Seeds that one of two arms lacks and images with an infinite PSNR are
                excluded, and the remark says so.
    level:      confidence level of the intervals, in (0, 1).
    tie_within: differences up to this size in dB are ties even where they are significant.

    Arms are a tie where the p-value after Holm's correction is not below 1 − level. It does not follow that they are
    equal: `interval` bounds their difference, and `detectable` is the smallest difference that this study would detect.

    Raises UserError for an unknown reference, a level outside (0, 1), a negative tie_within, NaN, arms without a common
    seed, arms evaluated on different images, and where no image has a finite PSNR everywhere.

    >>> first = {seed: {"x": 30.0 + 0.01 * seed, "y": 28.0} for seed in range(3)}
    >>> second = {seed: {"x": 29.0, "y": 27.0 + 0.01 * seed} for seed in range(3)}
    >>> [comparison] = compare({"first": first, "second": second}, reference="second")
    >>> comparison.verdict, round(comparison.difference, 3)
    ('better', 1.0)
    """
    if not 0 < level < 1:
        raise UserError("not a confidence level", setting="level", value=level, allowed="0 < level < 1, such as 0.95")
    if tie_within is not None and not 0 <= tie_within < math.inf:
        raise UserError("not a tie margin", setting="tie_within", value=tie_within, allowed="null, or 0 dB or more")
    images = comparable_images(scores, reference)
    comparisons = [
        _uncorrected(arm, reference, pair_scores(scores, arm, reference, images), level, tie_within)
        for arm in scores
        if arm != reference
    ]
    decided = [comparison for comparison in comparisons if comparison.decided]
    corrected = holm_correction([comparison.p_value for comparison in decided])
    p_holm = dict(zip([comparison.arm for comparison in decided], corrected, strict=True))
    return [_with_verdict(comparison, p_holm.get(comparison.arm, 1.0), len(decided)) for comparison in comparisons]


def _uncorrected(arm: str, reference: str, pair: PairedScores, level: float, tie_within: float | None) -> Comparison:
    """A comparison before Holm's correction over all arms: p_holm and the verdict are provisional."""
    differences = pair.arm - pair.reference
    seeds, images = differences.shape
    shares, detectable, needed = VarianceShares(math.nan, math.nan, math.nan), math.nan, None
    if seeds > 1 and images > 1:
        table = mean_squares(differences)
        width, p, method = float(half_width(table, 1 - level)), float(p_value(table)), SEEDS_AND_IMAGES
        components = variance_components(table)
        shares = components.shares
        detectable = detectable_effect(components, seeds, images)
        needed = seeds_needed(components, images)
    else:
        width, p = _one_way(differences.ravel(), 1 - level)
        method = IMAGES_ONLY if images > 1 else SEEDS_ONLY if seeds > 1 else NO_INTERVAL
    difference = float(differences.mean())
    return Comparison(
        arm=arm,
        reference=reference,
        mean=float(pair.arm.mean()),
        difference=difference,
        interval=(difference - width, difference + width),
        p_value=p,
        p_holm=p,
        wilcoxon_p=wilcoxon_test(differences),
        verdict="tie",
        shares=shares,
        detectable=detectable,
        seeds_needed=needed,
        seeds=seeds,
        images=images,
        method=method,
        remark=pair.remark,
        level=level,
        tie_within=tie_within,
    )


def _one_way(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """Half-width and p-value of Student's t over (k,) differences; infinite and 1 for k = 1."""
    from scipy.special import stdtr

    count = len(values)
    if count == 1:
        return math.inf, 1.0
    mean, standard_error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(count)
    if standard_error == 0:
        return 0.0, float(mean == 0)
    p = float(2 * stdtr(count - 1, -abs(mean) / standard_error))
    return float(t_quantile(count - 1, alpha)) * standard_error, p


def _with_verdict(comparison: Comparison, p_holm: float, arms: int) -> Comparison:
    """A comparison with the corrected p-value, the verdict, and a remark where interval and verdict differ."""
    alpha = 1 - comparison.level
    remarks = [comparison.remark] if comparison.remark else []
    if not comparison.decided:
        counts = {"seed": comparison.seeds, "image": comparison.images}
        single = [factor for factor, count in counts.items() if count == 1]
        verdict = f"not decided: {' and '.join(f'one {factor}' for factor in single)}"
        factors = " or ".join(f"{factor}s" for factor in single)
        remarks.append(f"the variance of the difference over {factors} is unknown")
    elif p_holm >= alpha:
        verdict = "tie"
        if comparison.p_value < alpha:
            remarks.append(f"the interval excludes 0, but not after correction for {arms} comparisons")
    elif comparison.tie_within is not None and abs(comparison.difference) <= comparison.tie_within:
        verdict = "tie"
        remarks.append(f"significant, but not larger than the tie margin of {comparison.tie_within:g} dB")
    else:
        verdict = "better" if comparison.difference > 0 else "worse"
    return replace(comparison, p_holm=p_holm, verdict=verdict, remark="; ".join(remarks) or None)
