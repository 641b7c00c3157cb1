"""The same picture more than once in a set."""

from collections.abc import Mapping, Sequence

from upnet.data.audit.copies import Copy
from upnet.data.audit.finding import Finding, some

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
