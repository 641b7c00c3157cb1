"""Comparisons as sentences of a report: the findings, and the limitations of the study."""

import math
from collections.abc import Iterable, Sequence

from upnet.study.statistics.comparison import Comparison
from upnet.study.statistics.power import EFFECT

NARROW = 0.05
"""Intervals narrower than this, in dB, are printed with three decimals."""


def format_signed(value: float, digits: int = 2) -> str:
    """A difference in dB with its sign.

    >>> format_signed(0.04), format_signed(-0.1), format_signed(0.001)
    ('+0.04', '−0.10', '0.00')
    """
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    rounded = round(value, digits)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def format_difference(comparison: Comparison) -> str:
    """The difference with its interval: "+0.01 dB [−0.03, +0.05]"; "+0.01 dB (no interval)" without one."""
    low, high = comparison.interval
    if math.isinf(high - low):
        return f"{format_signed(comparison.difference)} dB (no interval)"
    # A bound near 0 needs three decimals, too: rounded to 0.00 it would not show whether the interval contains 0.
    digits = 3 if high - low < NARROW or min(abs(low), abs(high)) < 0.005 else 2
    bounds = f"[{format_signed(low, digits)}, {format_signed(high, digits)}]"
    return f"{format_signed(comparison.difference, digits)} dB {bounds}"


def describe_comparison(comparison: Comparison) -> str:
    """The result of one comparison: "transposed and pixel_shuffle do not differ significantly: +0.01 dB […]"."""
    arm, reference, difference = comparison.arm, comparison.reference, format_difference(comparison)
    if not comparison.decided:
        return f"{arm} against {reference}: {comparison.verdict}; difference on the evaluated images {difference}"
    if comparison.verdict != "tie":
        return f"{arm} is {comparison.verdict} than {reference}: {difference}"
    margin = comparison.tie_within
    if margin is not None and max(map(abs, comparison.interval)) <= margin:
        return f"{arm} and {reference} are equivalent within {margin:g} dB: {difference}"
    if comparison.p_holm < 1 - comparison.level:
        return f"{arm} and {reference} differ by no more than the tie margin of {margin:g} dB: {difference}"
    return f"{arm} and {reference} do not differ significantly: {difference}"


def findings(comparisons: Sequence[Comparison]) -> list[str]:
    """One sentence per arm: better arms first, then worse ones, ties, and undecided comparisons."""
    order = {"better": 0, "worse": 1, "tie": 2}
    ranked = sorted(comparisons, key=lambda comparison: (order.get(comparison.verdict, 3), -comparison.difference))
    return [describe_comparison(c) + (f" ({c.remark})" if c.remark else "") for c in ranked]


def limitations(comparisons: Sequence[Comparison]) -> list[str]:
    """The population that the intervals hold for, the detectable differences, and what more seeds would resolve."""
    if not comparisons:
        return []
    decided = [comparison for comparison in comparisons if comparison.decided]
    sentences = [_population(comparisons)]
    if decided:
        sentences += [_detectable_difference(decided), *_more_seeds(decided), _variance_shares(decided)]
    if any(comparison.verdict == "tie" for comparison in decided):
        sentences.append(
            "A tie does not show that two arms are equal; the interval bounds the difference between them."
        )
    if len(decided) > 1:
        sentences.append(
            f"Verdicts are corrected for {len(decided)} comparisons by Holm's method; the intervals are not corrected."
        )
    return sentences + _wilcoxon(decided)


def _population(comparisons: Sequence[Comparison]) -> str:
    seeds, images = _range([c.seeds for c in comparisons]), _range([c.images for c in comparisons])
    sample = f"The comparisons use {seeds} {_plural('seed', seeds)} and {images} {_plural('image', images)}."
    scope = (
        "The intervals hold for the mean difference over all seeds and all images of this kind, and not for other "
        "kinds of images, training sets or training budgets."
    )
    unknown = []
    if any(comparison.seeds == 1 for comparison in comparisons):
        unknown.append("between seeds cannot be estimated from one seed")
    if any(comparison.images == 1 for comparison in comparisons):
        unknown.append("between images cannot be estimated from one image")
    if not unknown:
        return f"{sample} {scope}"
    decided = any(comparison.decided for comparison in comparisons)
    return (
        f"{sample} {scope + ' ' if decided else ''}The variance {' and the variance '.join(unknown)}; such comparisons "
        "are not decided."
    )


def _detectable_difference(decided: Sequence[Comparison]) -> str:
    sizes = [comparison.detectable for comparison in decided]
    low, high = f"{min(sizes):.3f}", f"{max(sizes):.3f}"
    size = f"{low} dB" if low == high else f"between {low} and {high} dB, depending on the arm"
    return f"The smallest difference that one comparison of this size detects with a power of 80 % is {size}."


def _more_seeds(decided: Sequence[Comparison]) -> Iterable[str]:
    needed = {comparison.arm: comparison.seeds_needed for comparison in decided}
    known = {arm: seeds for arm, seeds in needed.items() if seeds is not None}
    if known:
        counts = ", ".join(f"{seeds} for {arm}" for arm, seeds in known.items())
        yield f"Estimated number of seeds that resolves {EFFECT:g} dB on the same number of images: {counts}."
    unresolved = [arm for arm in needed if arm not in known]
    if unresolved:
        yield (
            f"More seeds cannot resolve {EFFECT:g} dB for {', '.join(unresolved)}: variance between images dominates; "
            "add images."
        )


def _variance_shares(decided: Sequence[Comparison]) -> str:
    seed, image, residual = (
        _range([round(100 * getattr(comparison.shares, name)) for comparison in decided])
        for name in ("seed", "image", "residual")
    )
    return f"Variance of one difference: {seed} % between seeds, {image} % between images, {residual} % residual."


def _wilcoxon(decided: Sequence[Comparison]) -> list[str]:
    """Where Wilcoxon's test contradicts the verdict before Holm's correction."""
    contradictions = [
        f"{comparison.arm} (p {_format_p(comparison.wilcoxon_p)})"
        for comparison in decided
        if (comparison.wilcoxon_p < 1 - comparison.level) != (comparison.p_value < 1 - comparison.level)
    ]
    sentences = []
    if contradictions:
        sentences.append(
            "Wilcoxon's signed-rank test, which holds for these trained networks only and not for other seeds, "
            f"disagrees for {', '.join(contradictions)}."
        )
    if decided and min(comparison.images for comparison in decided) < 6:
        sentences.append("With fewer than six images the p-value of Wilcoxon's test cannot fall below 0.05.")
    return sentences


def _format_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _plural(noun: str, count: str) -> str:
    return noun if count == "1" else f"{noun}s"
