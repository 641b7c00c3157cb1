"""The audit of one folder: every picture is read once, measured and forgotten; figures and features are left."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from upnet.audit import degradations as ways
from upnet.audit import leakage, pairs, resizing, sizes
from upnet.audit import near_duplicates as duplicates
from upnet.audit import shift as shifts
from upnet.audit.candidates import Album
from upnet.audit.feature_cache import by_all_cores
from upnet.audit.features import Features, describe
from upnet.audit.finding import Finding, Report, some
from upnet.audit.image_ops import as_plane, correlation, grey_image
from upnet.audit.near_duplicates import likenesses, repeated, shared
from upnet.audit.verification import ALIKE
from upnet.imaging.imresize import imresize
from upnet.imaging.reading import BrokenImageError, read_rgb

DEFAULT_SCALE = 2
_RELATED = 0.8


@dataclass(frozen=True, slots=True)
class MeasuredLr:
    """An LR picture beside its HR picture; what could not be measured is empty."""

    size: tuple[int, int]
    fits: Sequence[ways.Fit] = ()
    shift: shifts.Shift | None = None
    related: float = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """An HR picture: its size, a hash of its pixels, its features, its LR pictures by scale, what was unreadable."""

    size: tuple[int, int] | None = None
    digest: str = ""
    features: Features | None = None
    lr: Mapping[int, MeasuredLr] = field(default_factory=dict)
    broken: Sequence[str] = ()


def audit(
    folder: str,
    scales: Sequence[int] = (),
    against: Sequence[str] = (),
    stated: resizing.Stated = "imresize",
    patch: int = 32,
) -> Report:
    """Look at every picture of a folder, and compare them with each other and with those of other folders.

    scales:  of the LR pictures to look at; none means all that the folder holds.
    against: folders of evaluation pictures that may not be among these.
    stated:  how LR is said to be made.
    patch:   side in LR pixels of the crops that a training would take.

    Raises ValueError for folders that are missing, empty or hold several sets, and for scales that they don't hold.
    """
    layout = pairs.look(folder)
    others = {_unlike(pairs.look(other).name, other, against): pairs.look(other) for other in against}
    chosen = _scales(layout, scales)
    paired = {scale: pairs.pair(layout.hr, files, scale) for scale, files in chosen.items()}
    report = Report(folder, len(layout.hr), sorted(chosen), {name: len(other.hr) for name, other in others.items()})
    measured = _measure(layout, {scale: one.files for scale, one in paired.items()})
    _say_broken(report, measured)
    for scale in chosen or scales or [DEFAULT_SCALE]:
        _judge_sizes(report, measured, scale, patch)
    for one in paired.values():
        report.findings += one.findings
        _judge_lr(report, layout, one, measured, stated)
    if not chosen:
        report.remarks.append("There is no LR here: upnet makes it from HR, by imresize with the symmetric border.")
    _judge_copies(report, layout, measured, others)
    return report


def _unlike(name: str, folder: str, all_folders: Sequence[str]) -> str:
    """The set's name, or its folder where another set is called the same."""
    return folder if [pairs.look(other).name for other in all_folders].count(name) > 1 else name


def _scales(layout: pairs.Layout, wanted: Sequence[int]) -> dict[int, Mapping[str, Path]]:
    """The LR files of each scale that is to be looked at."""
    held = dict(layout.lr)
    if 0 in held:  # names without a mark tell no scale
        plain = held.pop(0)
        scale = wanted[0] if len(wanted) == 1 else _guess(layout, plain)
        held[scale] = {**plain, **held.get(scale, {})}
    missing = [scale for scale in wanted if scale not in held]
    if missing and held:
        told = ", ".join(str(scale) for scale in held)
        raise ValueError(f"Audit: {layout.name} has no LR pictures of scale {missing[0]}; it has those of scale {told}")
    return {scale: held[scale] for scale in (dict.fromkeys(wanted) if wanted and held else held)}


def _guess(layout: pairs.Layout, lr: Mapping[str, Path]) -> int:
    """The scale of the first pair of names that fits."""
    for name, path in lr.items():
        if name in layout.hr:
            large, small = read_rgb(layout.hr[name]), read_rgb(path)
            return max(round(large.shape[0] / small.shape[0]), 1)
    return DEFAULT_SCALE


def _measure(layout: pairs.Layout, lr: Mapping[int, Mapping[str, Path]]) -> dict[str, Measured]:
    names = list(layout.hr)

    def make(number: int) -> Measured:
        name = names[number]
        with torch.no_grad():
            return _measured(layout.hr[name], {scale: files[name] for scale, files in lr.items() if name in files})

    return dict(zip(names, by_all_cores(make, len(names), f"Looking at {layout.name}"), strict=True))


def _measured(path: Path, lr: Mapping[int, Path]) -> Measured:
    broken: list[str] = []
    small: dict[int, MeasuredLr] = {}
    try:
        hr = read_rgb(path)
    except BrokenImageError as error:
        return Measured(broken=[str(error)])
    for scale, file in lr.items():
        try:
            small[scale] = _beside(hr, read_rgb(file), scale)
        except BrokenImageError as error:
            broken.append(str(error))
    digest = hashlib.sha256(repr(hr.shape).encode() + hr.tobytes()).hexdigest()
    return Measured((hr.shape[0], hr.shape[1]), digest, describe(hr), small, broken)


def _beside(hr: np.ndarray, lr: np.ndarray, scale: int) -> MeasuredLr:
    height, width = lr.shape[:2]
    if (height, width) != (hr.shape[0] // scale, hr.shape[1] // scale):
        return MeasuredLr((height, width))
    hr = hr[: scale * height, : scale * width]
    fits = ways.fit_imresize(hr, lr, scale)
    if not fits[0].differing:
        return MeasuredLr((height, width), fits, shifts.Shift((0.0, 0.0, 0.0, 0.0), 0.0))
    reduced, small = (as_plane(grey_image(one)) for one in (imresize(hr, 1 / scale), lr))
    related = correlation(reduced - reduced.mean(), small - small.mean())
    return MeasuredLr((height, width), fits, shifts.measure(hr, lr, scale), related)


def _say_broken(report: Report, measured: Mapping[str, Measured]) -> None:
    for name, one in measured.items():
        for reason in one.broken:
            report.findings.append(_broken(name, reason))


def _broken(name: str, reason: str) -> Finding:
    return Finding(
        "unreadable",
        f"{reason}.",
        "upnet stops at it, or leaves it out by data.skip_broken=true.",
        "Fetch or save it again.",
        [name],
    )


def _judge_sizes(report: Report, measured: Mapping[str, Measured], scale: int, patch: int) -> None:
    hr = {name: one.size for name, one in measured.items() if one.size is not None}
    lr = {name: one.lr[scale].size for name, one in measured.items() if scale in one.lr}
    report.findings += sizes.check_pairs(hr, lr, scale)
    report.findings += sizes.check_patch(hr, scale, patch)
    if (remark := sizes.odd(hr, scale)) is not None:
        report.remarks.append(remark)


def _judge_lr(
    report: Report,
    layout: pairs.Layout,
    paired: pairs.Pairs,
    measured: Mapping[str, Measured],
    stated: resizing.Stated,
) -> None:
    """How LR was made, whether it is shifted, and whether it shows another picture."""
    scale = paired.scale
    beside = {name: one.lr[scale] for name, one in measured.items() if scale in one.lr and one.lr[scale].fits}
    strangers = [name for name, one in beside.items() if one.related < _RELATED]
    report.findings += _judge_strangers(strangers, paired, measured)
    fits = {name: one.fits for name, one in beside.items() if name not in strangers}
    apart = [name for name, one in fits.items() if one[0].differing or resizing.departs(one, stated)]
    step = max(len(apart) / resizing.EXAMINED, 1.0)
    some_apart = [apart[int(number * step)] for number in range(min(len(apart), resizing.EXAMINED))]

    def examine(number: int) -> list[ways.Fit]:
        hr, lr = read_rgb(layout.hr[some_apart[number]]), read_rgb(paired.files[some_apart[number]])
        return ways.examine(hr[: scale * lr.shape[0], : scale * lr.shape[1]], lr, scale)

    told = f"Asking how ×{scale} was made"
    examined = dict(zip(some_apart, by_all_cores(examine, len(some_apart), told), strict=True))
    findings, remarks = resizing.judge(fits, examined, scale, stated)
    beside_hr = {name: found for name in fits if (found := beside[name].shift) is not None}
    shifted, figures = shifts.judge(beside_hr, scale)
    report.findings += [*findings, *shifted]
    report.remarks += remarks
    if figures:
        report.figures[f"shift x{scale}, LR pixels"] = figures


def _judge_strangers(strangers: Sequence[str], paired: pairs.Pairs, measured: Mapping[str, Measured]) -> list[Finding]:
    """LR pictures that don't look like their HR picture: whose are they?"""
    names = [name for name, one in measured.items() if one.features is not None]
    album = Album([features for one in measured.values() if (features := one.features) is not None])
    findings = []
    for name in strangers:
        found = likenesses(describe(read_rgb(paired.files[name])), album)
        alike = [names[index] for index, one in found.items() if one.score >= ALIKE]
        if name in alike and any(found[names.index(name)].shares[side] < 0.9 for side in (0, 1)):
            told = f"shows a part of {name}, or {name} a part of it"
        elif name in alike:
            continue  # the same picture with other brightness or much noise; the resizing says so
        else:
            told = f"shows {some(alike)}" if alike else "shows something else"
        findings.append(
            Finding(
                "pairs",
                f"The LR picture of {name}, {paired.files[name].name}, {told}.",
                "A network cannot learn from a pair that doesn't belong together.",
                "Rename the files so that they pair off, or take the pair out.",
                [name],
                paired.scale,
            )
        )
    return findings


def _judge_copies(
    report: Report, layout: pairs.Layout, measured: Mapping[str, Measured], others: Mapping[str, pairs.Layout]
) -> None:
    """Duplicates within, and leakage from the evaluation sets."""
    names = [name for name, one in measured.items() if one.features is not None]
    album = Album([features for one in measured.values() if (features := one.features) is not None])
    digests = {name: measured[name].digest for name in names}
    report.findings += duplicates.judge(names, digests, list(repeated(album, f"Comparing {layout.name} with itself")))
    for name, other in others.items():
        theirs = _measure(other, {})
        for picture, one in theirs.items():
            report.findings += [_broken(f"{picture} of {name}", reason) for reason in one.broken]
        sought = [picture for picture, one in theirs.items() if one.features is not None]
        evaluated = Album([features for one in theirs.values() if (features := one.features) is not None])
        found = leakage.leaks(shared(evaluated, album, f"Looking for {name}"), sought, names)
        report.findings += leakage.judge(found, name)
