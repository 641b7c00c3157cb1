"""What the audit has to say."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["unreadable", "pairs", "sizes", "resizing", "shift", "duplicates", "leakage"]

TITLES: dict[Kind, str] = {
    "unreadable": "Pictures that cannot be read",
    "pairs": "HR and LR that don't belong together",
    "sizes": "Sizes",
    "resizing": "How LR was made",
    "shift": "Shift between LR and HR",
    "duplicates": "The same picture more than once",
    "leakage": "Evaluation pictures among the training pictures",
}
"""The sections of a report, in order."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    kind:     of what.
    what:     one sentence with the names of the pictures.
    means:    what it does to a training or a score.
    cure:     what to do about it.
    pictures: the names concerned.
    scale:    of the LR pictures concerned; None where it concerns no LR.
    figures:  what was measured.
    """

    kind: Kind
    what: str
    means: str
    cure: str
    pictures: Sequence[str]
    scale: int | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """What an audit found in one folder.

    folder:   that was looked at.
    pictures: how many HR pictures it holds.
    scales:   of the LR pictures that were looked at; empty where there are none.
    against:  the evaluation sets it was compared with, and how many pictures they hold.
    findings: what is wrong.
    remarks:  what is worth knowing and not wrong.
    figures:  what was measured, per check.
    """

    folder: str
    pictures: int = 0
    scales: list[int] = field(default_factory=list)
    against: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "clean": self.clean, "format": 1}


def some(names: Sequence[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
