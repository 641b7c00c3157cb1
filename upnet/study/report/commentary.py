"""What a report says in sentences, beside what the statistics say."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from upnet.metrics import gain
from upnet.study.report.arms import ReportedStudy
from upnet.study.statistics import Comparison
from upnet.study.statistics.verdicts import findings, format_difference

UNMOVED = 0.01
"""By how many dB at the most a network differs on every picture from an interpolation that it added nothing to."""


def comparison_summary(dataset: str, found: Mapping[str, Comparison], means: Mapping[str, float]) -> list[str]:
    """Who has the highest mean, whether that says anything, and how the arms stand to the reference."""
    if not found:
        return []
    best = max(means, key=lambda name: means[name])
    told = f"The highest mean on {dataset} is that of {best}, {means[best]:.3f} dB"
    own = found.get(best)
    if own is None:
        told += ", the reference itself."
    elif own.verdict == "better":
        told += f"; the lead over the reference {own.reference} is found: {format_difference(own)}."
    elif own.decided:
        told += f"; against the reference {own.reference} that is a tie: {format_difference(own)}."
    else:
        told += f"; with {_few(own)} that decides nothing: {format_difference(own)} against {own.reference}."
    count = {
        word: [name for name, one in found.items() if one.verdict.startswith(word)]
        for word in ("better", "worse", "tie", "not decided")
    }
    parts = [f"{len(names)} {_word(word, len(names))}" for word, names in count.items() if names]
    return [told, f"Of {len(found)} {_arms(len(found))} beside the reference, {_joined(parts)}."]


def untrained_arms(planned: ReportedStudy, dataset: str) -> list[str]:
    """A sentence on the runs that score what the interpolation beside them scores, where there are any."""
    told = []
    for entry in planned.entries:
        still = sum(_unmoved(run.results["datasets"][dataset]["images"]) for run in entry.arm.runs)
        if still:
            told.append(f"{entry.name} ({still} of {len(entry.arm.runs)} runs)")
    if not told:
        return []
    baseline = planned.entries[0].arm.runs[0].results["datasets"][dataset]["baseline"]["name"]
    return [
        f"Nothing was learnt by {', '.join(told)}: on every picture of {dataset} they have the PSNR of {baseline} "
        f"within {UNMOVED:g} dB. A difference from these, or between them, says nothing about operators that work."
    ]


def _unmoved(images: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(abs(gain(one["baseline"]["psnr"], one["psnr"])) < UNMOVED for one in images.values())


def comparison_sentences(family: Sequence[Comparison]) -> list[str]:
    """A sentence per arm; what a single seed leaves unknown is said once, among the limits."""
    bare = [one if one.decided else replace(one, remark=None) for one in family]
    return [f"{sentence}." for sentence in findings(bare)]


def study_limitations(planned: ReportedStudy) -> list[str]:
    """What holds for the study as a whole, whatever its figures are."""
    told = [
        "Only the comparisons with the reference are tested. That two arms have different verdicts does not mean that "
        "they differ from each other."
    ]
    settings = planned.entries[0].arm.runs[0].results["settings"]
    told.append(
        f"Every arm was trained for {_steps(planned)} steps with the same settings; none was given a learning rate "
        "of its own. With another budget or other pictures the order may be another one."
        if settings
        else "Every arm was trained with the same settings."
    )
    parameters = [entry.arm.parameters for entry in planned.entries]
    if planned.match == "none" and max(parameters) > 1.01 * min(parameters):
        told.append(
            f"Without matching, the arms have between {min(parameters)} and {max(parameters)} parameters, so that a "
            "difference may come from the size of a network as well as from its operator."
        )
    if any(len(entry.arm.runs) < 3 for entry in planned.entries):
        few = min(len(entry.arm.runs) for entry in planned.entries)
        told.append(f"Some arms have {few} {'seed' if few == 1 else 'seeds'} only; three are the least to go by.")
    told.append("Pictures, spectra, responses and the other diagnostics are those of one trained network per arm.")
    return told


def _steps(planned: ReportedStudy) -> str:
    steps = sorted({int(entry.arm.runs[0].results.get("step", 0)) for entry in planned.entries})
    return " to ".join(dict.fromkeys(str(step) for step in (steps[0], steps[-1])))


def _few(found: Comparison) -> str:
    return found.verdict.removeprefix("not decided: ")


def _word(verdict: str, count: int) -> str:
    many = count != 1
    return {
        "better": "are better" if many else "is better",
        "worse": "are worse" if many else "is worse",
        "tie": "are ties" if many else "is a tie",
        "not decided": "are not decided" if many else "is not decided",
    }[verdict]


def _arms(count: int) -> str:
    return "arm" if count == 1 else "arms"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
