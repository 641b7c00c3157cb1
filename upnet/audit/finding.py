"""Findings of an audit, and the report that collects them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["unreadable", "pairs", "sizes", "resizing", "shift", "duplicates", "leakage"]

TITLES: dict[Kind, str] = {
    "unreadable": "Unreadable images",
    "pairs": "Pairing of HR and LR",
    "sizes": "Image sizes",
    "resizing": "Degradation of LR",
    "shift": "Shift between LR and HR",
    "duplicates": "Duplicates",
    "leakage": "Leakage of evaluation images",
}
"""The sections of a report, in order."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect of a data set.

    kind:         the section of the report.
    problem:      one sentence with the names of the images.
    consequence:  one sentence about the effect on training or on scores.
    cure:         one sentence that says what to do.
    images:       names of the images that have the defect.
    scale:        scale of the LR images that have the defect; None if no LR image has it.
    measurements: values for the JSON report.

    >>> finding = Finding("sizes", "1 HR image is too small: baby.", "It is rejected.", "Remove it.", ["baby"])
    >>> finding.as_json()["pictures"]
    ['baby']
    """

    kind: Kind
    problem: str
    consequence: str
    cure: str
    images: Sequence[str]
    scale: int | None = None
    measurements: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The finding as plain data, in format 1 of the report."""
        return {
            "kind": self.kind,
            "what": self.problem,
            "means": self.consequence,
            "cure": self.cure,
            "pictures": list(self.images),
            "scale": self.scale,
            "figures": dict(self.measurements),
        }


@dataclass
class Report:
    """The result of an audit of one folder.

    folder:          the folder.
    image_count:     number of HR images.
    scales:          scales of the LR images that were examined; empty if there are none.
    evaluation_sets: name -> number of images of each set that was searched for in the folder.
    findings:        the defects.
    remarks:         sentences about properties that are no defects.
    measurements:    values for the JSON report.

    >>> report = Report("Set5", 5)
    >>> report.findings.append(Finding("sizes", "1 HR image is too small.", "", "", ["baby"]))
    >>> report.is_clean, report.as_json()["pictures"]
    (False, 5)
    """

    folder: str
    image_count: int = 0
    scales: list[int] = field(default_factory=list)
    evaluation_sets: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    measurements: dict[str, Any] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "folder": self.folder,
            "pictures": self.image_count,
            "scales": self.scales,
            "against": self.evaluation_sets,
            "findings": [finding.as_json() for finding in self.findings],
            "remarks": self.remarks,
            "figures": self.measurements,
            "clean": self.is_clean,
            "format": 1,
        }


def join_some(names: Sequence[str], limit: int = 4) -> str:
    """The first `limit` names, and the number of the others.

    >>> join_some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def count_noun(count: int, noun: str, verbs: tuple[str, str] = ("", "")) -> str:
    """A count with its noun and, if given, the verb in singular or plural.

    >>> count_noun(1, "LR image", ("has", "have")), count_noun(3, "finding")
    ('1 LR image has', '3 findings')
    """
    plural = count != 1
    return f"{count} {noun}{'s' * plural} {verbs[plural]}".rstrip()
