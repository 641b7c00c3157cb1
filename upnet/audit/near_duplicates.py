"""Copies: pictures of one set that show what pictures of another, or of the same set, show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from upnet.audit.candidates import Album
from upnet.audit.feature_cache import Budget, by_all_cores
from upnet.audit.features import Features
from upnet.audit.finding import Finding, some
from upnet.audit.verification import ALIKE, Likeness, compare


class Copy(NamedTuple):
    """Picture number `first` of one album shows what number `second` of the other does."""

    first: int
    second: int
    likeness: Likeness


def likenesses(picture: Features, album: Album, start: int = 0) -> dict[int, Likeness]:
    """Number -> how a picture resembles that one of the album, from `start` on; for all that are worth a look."""
    found: dict[int, Likeness] = {}
    with torch.no_grad():
        for candidate in album.candidates(picture, start):
            if candidate.number in found and found[candidate.number].score >= ALIKE:
                continue
            likeness = compare(picture, album.pictures[candidate.number], candidate)
            known = found.get(candidate.number)
            if likeness is not None and (known is None or likeness.score > known.score):
                found[candidate.number] = likeness
    return found


def shared(
    sought: Album, among: Album, told: str = "Looking for copies", budget: Budget | None = None
) -> Iterator[Copy]:
    """Every picture of `sought` that shows what a picture of `among` shows; a bar says what is `told`.

    Raises OutOfTimeError where that would take longer than the budget allows.
    """
    found = by_all_cores(lambda number: likenesses(sought.pictures[number], among), len(sought), told, budget)
    for first, alike in enumerate(found):
        yield from _alike(first, alike)


def repeated(album: Album, told: str = "Looking for copies") -> Iterator[Copy]:
    """Every pair of pictures of one album that show the same."""
    found = by_all_cores(lambda number: likenesses(album.pictures[number], album, number + 1), len(album) - 1, told)
    for first, alike in enumerate(found):
        yield from _alike(first, alike)


def _alike(first: int, found: dict[int, Likeness]) -> Iterator[Copy]:
    return (Copy(first, second, one) for second, one in sorted(found.items()) if one.score >= ALIKE)


_MEANS = "The picture counts more than once: in training it is drawn more often, in scoring it has more than one vote."


def judge(names: Sequence[str], digests: Mapping[str, str], copies: Sequence[Copy]) -> list[Finding]:
    """Findings on pictures with equal pixels, one for each group, and on near copies, one for each pair.

    digests: name -> hash of the pixels.
    copies:  between the pictures by their number in `names`.
    """
    groups: dict[str, list[str]] = {}
    for name, digest in digests.items():
        groups.setdefault(digest, []).append(name)
    findings = [
        Finding("duplicates", f"{some(group)} are equal in every pixel.", _MEANS, "Keep one of them.", group)
        for group in groups.values()
        if len(group) > 1
    ]
    for copy in copies:
        first, second = names[copy.first], names[copy.second]
        if digests.get(first) is not None and digests.get(first) == digests.get(second):
            continue
        findings.append(
            Finding(
                "duplicates",
                f"{first} and {second} show the same ({copy.likeness.told()}, correlation {copy.likeness.score:.2f}).",
                _MEANS,
                "Keep the better one, unless you want both.",
                [first, second],
                figures={"correlation": round(copy.likeness.score, 3)},
            )
        )
    return findings
