"""Whether LR was made as stated: by upnet.imaging.imresize, pixel by pixel, or else by what."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

from upnet.audit.degradations import Fit
from upnet.audit.finding import Finding, some

Stated = Literal["imresize", "imresize-symmetric", "imresize-replicate", "any"]
"""What a set is said to be made by; "imresize" is with either border, the same for all pictures."""

EXAMINED = 8
"""Pictures of a set that are compared with every way of resizing, where imresize fits them not."""

_FITS = 45.0


def departs(fits: Sequence[Fit], stated: Stated) -> bool:
    """Whether a picture's LR is not what was stated."""
    if stated == "any":
        return False
    wanted = ("imresize-symmetric", "imresize-replicate") if stated == "imresize" else (stated,)
    return not any(not one.differing and one.way in (*wanted, "imresize") for one in fits)


def judge(
    fits: Mapping[str, Sequence[Fit]], examined: Mapping[str, Sequence[Fit]], scale: int, stated: Stated
) -> tuple[list[Finding], list[str]]:
    """Findings and remarks on one scale of a set.

    fits:     HR name -> what fit_imresize found.
    examined: HR name -> what examine found, for some of those that depart from what was stated.
    """
    apart = {name: one for name, one in fits.items() if departs(one, stated)}
    exact = Counter(one[0].way for one in fits.values() if not one[0].differing)
    findings, remarks = [], []
    if apart:
        findings.append(_departing(apart, examined, len(fits), scale, stated))
    borders = [way for way in ("imresize-symmetric", "imresize-replicate") if exact[way]]
    if len(borders) == 2:
        names = [name for name, one in fits.items() if one[0].way == min(borders, key=lambda way: exact[way])]
        findings += [] if stated in borders else [_mixed(names, exact, scale)]
    elif sum(exact.values()):
        way = borders[0] if borders else "imresize"
        remarks.append(f"×{scale}: {sum(exact.values())} of {len(fits)} LR pictures equal {way} in every pixel.")
    if stated == "any" and examined:
        best = Counter(one[0].way for one in examined.values()).most_common(1)[0][0]
        remarks.append(f"×{scale}: of all ways of resizing, {best} fits best ({_median(examined, best):.1f} dB).")
    return findings, remarks


def _departing(
    apart: Mapping[str, Sequence[Fit]],
    examined: Mapping[str, Sequence[Fit]],
    count: int,
    scale: int,
    stated: Stated,
) -> Finding:
    name, fits = max(apart.items(), key=lambda one: one[1][0].differing)
    wanted = next((one for one in fits if one.way == stated), fits[0])
    figures: dict[str, object] = {"departing": {one: near[0].figures() for one, near in apart.items()}}
    told = ""
    if examined:
        best, often = Counter(one[0].way for one in examined.values()).most_common(1)[0]
        value = _median(examined, best)
        figures["best"] = {"way": best, "psnr": value, "pictures": often}
        if value >= _FITS or "JPEG" in best:
            told = f" What fits {'them' if len(apart) > 1 else 'it'} best: {best} ({_db(value)})."
        else:
            told = f" No way of resizing that upnet knows fits; {best} comes nearest ({_db(value)})."
    were = "were" if len(apart) > 1 else "was"
    return Finding(
        "resizing",
        f"{len(apart)} of {count} LR pictures {were} not made by {_spoken(stated)}: {some(list(apart))}. "
        f"The worst is {name}: {wanted.told()}.{told}",
        "A network learns to undo the very way in which LR was made; scores on LR made otherwise are not comparable "
        "with print.",
        "Make LR again from HR with imresize (data=folder does it), or state what you mean by --resizing.",
        list(apart),
        scale,
        figures,
    )


def _mixed(names: list[str], exact: Mapping[str, int], scale: int) -> Finding:
    return Finding(
        "resizing",
        f"LR pictures of two kinds are mixed: {exact['imresize-symmetric']} have imresize's symmetric border and "
        f"{exact['imresize-replicate']} the replicate one; the fewer are {some(names)}.",
        "The pictures come from different sources; near their borders they are reduced differently.",
        "Take all LR pictures from one source, or make them again with upnet.imaging.imresize.",
        names,
        scale,
    )


def _median(examined: Mapping[str, Sequence[Fit]], way: str) -> float:
    return median(next((one.psnr for one in fits if one.way == way), 0.0) for fits in examined.values())


def _db(value: float) -> str:
    return "equal in every pixel" if math.isinf(value) else f"{value:.1f} dB"


def _spoken(stated: Stated) -> str:
    border = stated.partition("-")[2]
    return f"imresize with the {border} border" if border else "imresize with either border"
