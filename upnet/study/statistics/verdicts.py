"""What a study found, what it didn't, and what its figures hold for: plain sentences for a report."""

import math
from collections.abc import Iterable, Sequence

from upnet.study.statistics.comparison import Comparison
from upnet.study.statistics.power import EFFECT

FINE = 0.05
"""Intervals narrower than this, in dB, are told to a thousandth."""


def format_signed(value: float, digits: int = 2) -> str:
    """A difference in dB: "+0.04", "−0.10", "0.00"."""
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    rounded = round(value, digits)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"


def format_difference(found: Comparison) -> str:
    """The difference with its interval: "+0.01 dB [−0.03, +0.05]"."""
    low, high = found.interval
    fine = high - low < FINE or min(abs(low), abs(high)) < 0.005
    digits = 3 if fine else 2
    return f"{format_signed(found.difference, digits)} dB [{format_signed(low, digits)}, {format_signed(high, digits)}]"


def describe_comparison(found: Comparison) -> str:
    """What one comparison says: "transposed and pixel_shuffle cannot be told apart: +0.01 dB [−0.03, +0.05]"."""
    arm, reference, told = found.arm, found.reference, format_difference(found)
    if not found.decided:
        return f"{arm} against {reference} is {found.verdict}; on what was scored, {told}"
    if found.verdict != "tie":
        return f"{arm} is {found.verdict} than {reference}: {told}"
    if found.tie_within is not None and max(map(abs, found.interval)) <= found.tie_within:
        return f"{arm} and {reference} are equal to within {found.tie_within:g} dB: {told}"
    if found.p_holm < 1 - found.level:
        return f"{arm} and {reference} differ by no more than the {found.tie_within:g} dB that count as a tie: {told}"
    return f"{arm} and {reference} cannot be told apart: {told}"


def findings(comparisons: Sequence[Comparison]) -> list[str]:
    """A sentence per arm: the better ones first, then the worse, the ties and those that are not decided."""
    order = {"better": 0, "worse": 1, "tie": 2}
    ranked = sorted(comparisons, key=lambda found: (order.get(found.verdict, 3), -found.difference))
    return [describe_comparison(found) + (f" ({found.remark})" if found.remark else "") for found in ranked]


def limitations(comparisons: Sequence[Comparison]) -> list[str]:
    """What the study can't say: whom its figures hold for, what it was too small to see, and what more would take."""
    if not comparisons:
        return []
    decided = [found for found in comparisons if found.decided]
    sentences = [_population(comparisons)]
    if decided:
        sentences += [_smallest(decided), *_needed(decided), _shares(decided)]
    if any(found.verdict == "tie" for found in decided):
        sentences.append("A tie is no proof of equality: the interval says how far apart the two may be.")
    if len(decided) > 1:
        sentences.append(
            f"Verdicts are corrected for {len(decided)} comparisons by Holm's method; the intervals are not, each "
            "holds by itself."
        )
    return sentences + _second_opinion(decided)


def _population(comparisons: Sequence[Comparison]) -> str:
    seeds, images = _span([found.seeds for found in comparisons]), _span([found.images for found in comparisons])
    whole = f"{seeds} {_plural('seed', seeds)} and {images} {_plural('image', images)}"
    told = (
        f"Scored were {whole}. The intervals are for the mean difference over all seeds and all images like these; "
        "for another kind of image, training set or budget they say nothing."
    )
    unknown = []
    if any(found.seeds == 1 for found in comparisons):
        unknown.append("what another training would give from one seed")
    if any(found.images == 1 for found in comparisons):
        unknown.append("what another image would give from one")
    if not unknown:
        return told
    if not any(found.decided for found in comparisons):
        told = f"Scored were {whole}."
    return f"{told} It is unknown {' and '.join(unknown)}; such comparisons are not decided."


def _smallest(decided: Sequence[Comparison]) -> str:
    sizes = [found.detectable for found in decided]
    low, high = f"{min(sizes):.3f}", f"{max(sizes):.3f}"
    told = f"{low} dB" if low == high else f"between {low} and {high} dB, depending on the arm"
    return f"The smallest difference that one comparison of this size finds in 4 of 5 studies is {told}."


def _needed(decided: Sequence[Comparison]) -> Iterable[str]:
    counted = {found.arm: found.seeds_needed for found in decided}
    known = {arm: seeds for arm, seeds in counted.items() if seeds is not None}
    if known:
        listed = ", ".join(f"{seeds} for {arm}" for arm, seeds in known.items())
        yield f"To find {EFFECT:g} dB on as many images takes, as far as this study can tell, seeds: {listed}."
    hopeless = [arm for arm in counted if arm not in known]
    if hopeless:
        yield (
            f"For {', '.join(hopeless)} no number of seeds shows {EFFECT:g} dB: the images differ too much, and only "
            "more images help."
        )


def _shares(decided: Sequence[Comparison]) -> str:
    parts = [
        f"{what} {_span([round(100 * getattr(found.shares, name)) for found in decided])} %"
        for what, name in (("the seed", "seed"), ("the picture", "picture"), ("the rest", "residual"))
    ]
    return f"What a difference varies with: {parts[0]}, {parts[1]}, {parts[2]} of its variance."


def _second_opinion(decided: Sequence[Comparison]) -> list[str]:
    """Where Wilcoxon's test sees it otherwise."""
    apart = [
        f"{found.arm} (p {_probability(found.wilcoxon_p)})"
        for found in decided
        if (found.wilcoxon_p < 1 - found.level) != (found.p_value < 1 - found.level)
    ]
    sentences = []
    if apart:
        sentences.append(
            f"Wilcoxon's test, which asks only whether these trained networks differ on images like these, disagrees "
            f"about {', '.join(apart)}."
        )
    if decided and min(found.images for found in decided) < 6:
        sentences.append("On fewer than six images Wilcoxon's p-value can't fall below 0.05.")
    return sentences


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _plural(noun: str, count: str) -> str:
    return noun if count == "1" else f"{noun}s"
