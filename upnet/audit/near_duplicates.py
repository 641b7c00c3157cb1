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
    """Image `first` of an index matches image `second` of another index, or of the same index."""

    first: int
    second: int
    match: Match


def find_matches(query: Features, index: FeatureIndex, start: int = 0) -> dict[int, Match]:
    """Align a query with its candidates among the images from index `start` on: index of the image -> its best match.

    Matches with a correlation below MATCH_THRESHOLD are included.

    >>> from upnet.audit.features import extract_features
    >>> from upnet.data import Photographs
    >>> features = [extract_features(entry.read()) for entry in Photographs(["chelsea", "coffee"]).images()]
    >>> round(find_matches(features[1], FeatureIndex(features))[1].correlation, 2)
    1.0
    """
    matches: dict[int, Match] = {}
    with torch.no_grad():
        for candidate in index.candidates(query, start):
            best = matches.get(candidate.target)
            if best is not None and best.correlation >= MATCH_THRESHOLD:
                continue
            match = verify(query, index.features[candidate.target], candidate)
            if match is not None and (best is None or match.correlation > best.correlation):
                matches[candidate.target] = match
    return matches


def duplicates_between(
    queries: FeatureIndex,
    targets: FeatureIndex,
    stage: str = "Searching near duplicates",
    budget: TimeBudget | None = None,
) -> Iterator[NearDuplicate]:
    """Yield every pair of an image of `queries` and its near duplicate in `targets`.

    Raises TimeBudgetError if the search would exceed the budget.
    """
    results = parallel_map(lambda number: find_matches(queries.features[number], targets), len(queries), stage, budget)
    for first, matches in enumerate(results):
        yield from _above_threshold(first, matches)


def duplicates_within(index: FeatureIndex, stage: str = "Searching near duplicates") -> Iterator[NearDuplicate]:
    """Yield every pair of near duplicates in one set of images once."""
    results = parallel_map(
        lambda number: find_matches(index.features[number], index, number + 1), len(index) - 1, stage
    )
    for first, matches in enumerate(results):
        yield from _above_threshold(first, matches)


def _above_threshold(first: int, matches: dict[int, Match]) -> Iterator[NearDuplicate]:
    for second, match in sorted(matches.items()):
        if match.correlation >= MATCH_THRESHOLD:
            yield NearDuplicate(first, second, match)


_CONSEQUENCE = "The image counts more than once, in training and in mean scores."


def report_duplicates(
    names: Sequence[str], digests: Mapping[str, str], near_duplicates: Sequence[NearDuplicate]
) -> list[Finding]:
    """Findings on images with equal pixels, one per group, and on near duplicates, one per pair.

    names:           names of the images; near duplicates refer to them by index.
    digests:         name -> hash of the pixels.
    near_duplicates: result of duplicates_within.
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
                "Keep the better one, unless both are intended.",
                [first, second],
                measurements={"correlation": round(match.correlation, 3)},
            )
        )
    return findings
