"""Search for near duplicates: images that show the same content, even resized, cropped, mirrored or recompressed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from upnet.audit.candidates import FeatureIndex
from upnet.audit.features import Features
from upnet.audit.finding import Finding, join_some
from upnet.audit.parallel import TimeBudget, parallel_map
from upnet.audit.verification import MATCH_THRESHOLD, Match, verify


class NearDuplicate(NamedTuple):
    """Image `first` of one index matches image `second` of another index, or of the same one."""

    first: int
    second: int
    match: Match


def find_matches(query: Features, index: FeatureIndex, start: int = 0) -> dict[int, Match]:
    """Align a query with all its candidates from number `start` on: number of the image -> its best match.

    Correlations below MATCH_THRESHOLD are included.
    """
    matches: dict[int, Match] = {}
    with torch.no_grad():
        for candidate in index.candidates(query, start):
            best = matches.get(candidate.index)
            if best is not None and best.correlation >= MATCH_THRESHOLD:
                continue
            match = verify(query, index.features[candidate.index], candidate)
            if match is not None and (best is None or match.correlation > best.correlation):
                matches[candidate.index] = match
    return matches


def duplicates_between(
    queries: FeatureIndex,
    targets: FeatureIndex,
    stage: str = "Searching near duplicates",
    budget: TimeBudget | None = None,
) -> Iterator[NearDuplicate]:
    """Yield every image of `queries` that is a near duplicate of an image of `targets`.

    Raises TimeBudgetError if the search would exceed the budget.
    """
    results = parallel_map(lambda number: find_matches(queries.features[number], targets), len(queries), stage, budget)
    for first, matches in enumerate(results):
        yield from _above_threshold(first, matches)


def duplicates_within(index: FeatureIndex, stage: str = "Searching near duplicates") -> Iterator[NearDuplicate]:
    """Yield every pair of near duplicates of one set of images once."""
    results = parallel_map(
        lambda number: find_matches(index.features[number], index, number + 1), len(index) - 1, stage
    )
    for first, matches in enumerate(results):
        yield from _above_threshold(first, matches)


def _above_threshold(first: int, matches: dict[int, Match]) -> Iterator[NearDuplicate]:
    for second, match in sorted(matches.items()):
        if match.correlation >= MATCH_THRESHOLD:
            yield NearDuplicate(first, second, match)


_CONSEQUENCE = "The image counts more than once, in training and in the mean score."


def report_duplicates(
    names: Sequence[str], digests: Mapping[str, str], near_duplicates: Sequence[NearDuplicate]
) -> list[Finding]:
    """Findings on images with equal pixels, one per group, and on near duplicates, one per pair.

    names:           of the images; near duplicates refer to them by position.
    digests:         name -> hash of the pixels.
    """
    groups: dict[str, list[str]] = {}
    for name, digest in digests.items():
        groups.setdefault(digest, []).append(name)
    findings = [
        Finding("duplicates", f"{join_some(group)} are equal in every pixel.", _CONSEQUENCE, "Keep one of them.", group)
        for group in groups.values()
        if len(group) > 1
    ]
    for duplicate in near_duplicates:
        first, second, match = names[duplicate.first], names[duplicate.second], duplicate.match
        if digests.get(first) is not None and digests.get(first) == digests.get(second):
            continue
        findings.append(
            Finding(
                "duplicates",
                f"{first} and {second} show the same content "
                f"({match.describe()}, correlation {match.correlation:.2f}).",
                _CONSEQUENCE,
                "Keep the better one, unless you want both.",
                [first, second],
                measurements={"correlation": round(match.correlation, 3)},
            )
        )
    return findings
