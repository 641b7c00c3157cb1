"""Check of the degradation: LR must equal upnet.imaging.imresize of HR, or a given degradation, in every pixel."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

from upnet.audit.degradations import Fit
from upnet.audit.finding import Finding, join_some

ExpectedResizing = Literal["imresize", "imresize-symmetric", "imresize-replicate", "any"]
"""How LR is expected to be made. "imresize": with either border, the same for all images. "any": not checked."""

MAX_RANKED_IMAGES = 8
"""Images per scale that are compared with all candidate degradations if imresize does not reproduce them."""

_MIN_GOOD_PSNR = 45.0


def differs_from_expected(fits: Sequence[Fit], expected: ExpectedResizing) -> bool:
    """Whether an LR image was not made as expected, by its fits of `fit_imresize`.

    >>> differs_from_expected([Fit("imresize-replicate", 0, 100, 0, math.inf)], "imresize-symmetric")
    True
    """
    if expected == "any":
        return False
    accepted = ("imresize-symmetric", "imresize-replicate") if expected == "imresize" else (expected,)
    return not any(not fit.differing and fit.degradation in (*accepted, "imresize") for fit in fits)


def report_resizing(
    fits: Mapping[str, Sequence[Fit]], ranked: Mapping[str, Sequence[Fit]], scale: int, expected: ExpectedResizing
) -> tuple[list[Finding], list[str]]:
    """Findings and remarks on one scale of a set.

    fits:   HR name -> result of fit_imresize.
    ranked: HR name -> result of rank_degradations, for some of the images that differ from the expected resizing.
    """
    differing = {name: image_fits for name, image_fits in fits.items() if differs_from_expected(image_fits, expected)}
    exact = Counter(image_fits[0].degradation for image_fits in fits.values() if not image_fits[0].differing)
    findings, remarks = [], []
    if differing:
        findings.append(_report_differing(differing, ranked, len(fits), scale, expected))
    borders = [name for name in ("imresize-symmetric", "imresize-replicate") if exact[name]]
    if len(borders) == 2:
        rarer = min(borders, key=lambda name: exact[name])
        names = [name for name, image_fits in fits.items() if image_fits[0].degradation == rarer]
        findings += [] if expected in borders else [_report_mixed_borders(names, exact, scale)]
    elif exact:
        name = borders[0] if borders else "imresize"
        remarks.append(f"×{scale}: {sum(exact.values())} of {len(fits)} LR images equal {name} in every pixel.")
    if expected == "any" and ranked:
        best = _most_frequent_best(ranked)[0]
        remarks.append(
            f"×{scale}: of all candidate degradations, {best} fits best ({_median_psnr(ranked, best):.1f} dB)."
        )
    return findings, remarks


def _report_differing(
    differing: Mapping[str, Sequence[Fit]],
    ranked: Mapping[str, Sequence[Fit]],
    count: int,
    scale: int,
    expected: ExpectedResizing,
) -> Finding:
    worst, worst_fits = max(differing.items(), key=lambda item: item[1][0].differing)
    worst_fit = next((fit for fit in worst_fits if fit.degradation == expected), worst_fits[0])
    measurements: dict[str, object] = {"departing": {name: fits[0].as_json() for name, fits in differing.items()}}
    explanation = ""
    if ranked:
        best, images = _most_frequent_best(ranked)
        psnr = _median_psnr(ranked, best)
        measurements["best"] = {"way": best, "psnr": psnr, "pictures": images}
        if psnr >= _MIN_GOOD_PSNR or "JPEG" in best:
            explanation = f" The best fit is {best} ({_format_psnr(psnr)})."
        else:
            explanation = f" No candidate degradation fits; the nearest is {best} ({_format_psnr(psnr)})."
    verb = "were" if len(differing) > 1 else "was"
    return Finding(
        "resizing",
        f"{len(differing)} of {count} LR images {verb} not made by {_describe(expected)}: "
        f"{join_some(list(differing))}. The largest difference is in {worst}: {worst_fit.describe()}.{explanation}",
        "A network learns to invert the degradation of its training data. Scores on LR of another degradation are not "
        "comparable with published ones.",
        "Make LR from HR again by imresize (as data=folder does), or give the degradation by --resizing.",
        list(differing),
        scale,
        measurements,
    )


def _report_mixed_borders(names: list[str], exact: Mapping[str, int], scale: int) -> Finding:
    return Finding(
        "resizing",
        f"Two border modes are mixed: {exact['imresize-symmetric']} LR images have imresize's symmetric border and "
        f"{exact['imresize-replicate']} its replicate border. The rarer mode: {join_some(names)}.",
        "The LR images come from different sources and differ near their borders.",
        "Use LR images of one source, or make them again by upnet.imaging.imresize.",
        names,
        scale,
    )


def _most_frequent_best(ranked: Mapping[str, Sequence[Fit]]) -> tuple[str, int]:
    """The degradation that fits best most often, and for how many images."""
    return Counter(fits[0].degradation for fits in ranked.values()).most_common(1)[0]


def _median_psnr(ranked: Mapping[str, Sequence[Fit]], degradation: str) -> float:
    return median(next((fit.psnr for fit in fits if fit.degradation == degradation), 0.0) for fits in ranked.values())


def _format_psnr(psnr: float) -> str:
    return "equal in every pixel" if math.isinf(psnr) else f"{psnr:.1f} dB"


def _describe(expected: ExpectedResizing) -> str:
    border = expected.partition("-")[2]
    return f"imresize with the {border} border" if border else "imresize with either border"
