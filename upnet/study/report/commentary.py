"""The findings and limitations of a report, as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from upnet.metrics import gain
from upnet.study.report.arms import ReportedStudy
from upnet.study.statistics import Comparison
from upnet.study.statistics.verdicts import findings, format_difference

UNTRAINED_LIMIT = 0.01
"""A network whose PSNR differs from the interpolation by less than this on every image, in dB, has learnt nothing."""


def comparison_summary(dataset: str, by_arm: Mapping[str, Comparison], means: Mapping[str, float]) -> list[str]:
    """The arm with the highest mean PSNR and its difference from the reference, and a count of the verdicts."""
    if not by_arm:
        return []
    best = max(means, key=lambda name: means[name])
    sentence = f"{best} has the highest mean PSNR on {dataset}: {means[best]:.3f} dB"
    comparison = by_arm.get(best)
    if comparison is None:
        return [f"{sentence}. It is the reference arm.", _verdict_counts(by_arm)]
    difference = f"{format_difference(comparison)}, {comparison.level:.0%} interval"
    if comparison.verdict == "better":
        outcome = f"Its difference from the reference {comparison.reference} is significant: {difference}."
    elif comparison.decided and comparison.p_holm < 1 - comparison.level:
        margin = f"{comparison.tie_within:g} dB"
        outcome = (
            f"Its difference from the reference {comparison.reference} is below the margin of {margin}: {difference}."
        )
    elif comparison.decided:
        outcome = f"Its difference from the reference {comparison.reference} is not significant: {difference}."
    else:
        reason = comparison.verdict.removeprefix("not decided: ")
        outcome = f"Its difference from the reference {comparison.reference} is not tested ({reason}): {difference}."
    return [f"{sentence}. {outcome}", _verdict_counts(by_arm)]


def untrained_arms(study: ReportedStudy, dataset: str) -> list[str]:
    """A sentence on runs whose network has the PSNR of the interpolation; empty if there are none."""
    arms = []
    for entry in study.entries:
        untrained = sum(_is_untrained(run.results["datasets"][dataset]["images"]) for run in entry.arm.runs)
        if untrained:
            arms.append(f"{entry.name} ({untrained} of {len(entry.arm.runs)} runs)")
    if not arms:
        return []
    baseline = study.entries[0].arm.runs[0].results["datasets"][dataset]["baseline"]["name"]
    return [
        f"Training had no effect in {', '.join(arms)}: on every image of {dataset} the PSNR is within "
        f"{UNTRAINED_LIMIT:g} dB of {baseline}. Differences that involve these runs do not compare trained operators."
    ]


def comparison_sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """One sentence per arm. Remarks on undecided comparisons are omitted: the limitations state them once."""
    shown = [one if one.decided else replace(one, remark=None) for one in comparisons]
    return [f"{sentence}." for sentence in findings(shown)]


def study_limitations(study: ReportedStudy) -> list[str]:
    """The limitations of the study as a whole, independent of its numbers."""
    sentences = [
        "Each arm is compared with the reference alone. Different verdicts of two arms do not imply a significant "
        "difference between them."
    ]
    if study.entries[0].arm.runs[0].results["settings"]:
        sentences.append(
            f"All arms were trained for {_steps(study)} steps with the same settings. The learning rate was not tuned "
            "per arm. Another training budget or other images may change the ranking."
        )
    else:
        sentences.append("All arms were trained with the same settings.")
    parameters = [entry.arm.parameters for entry in study.entries]
    if study.match == "none" and max(parameters) > 1.01 * min(parameters):
        sentences.append(
            f"Network sizes were not matched: the arms have {min(parameters)} to {max(parameters)} parameters. A "
            "difference may be due to network size as well as to the operator."
        )
    fewest = min(len(entry.arm.runs) for entry in study.entries)
    if fewest < 3:
        sentences.append(
            f"At least one arm has only {fewest} {'seed' if fewest == 1 else 'seeds'}. Use three seeds or more for "
            "conclusions about operators."
        )
    sentences.append(
        "Image details, spectra and diagnostics show one trained network per arm, the one of its first seed."
    )
    return sentences


def _verdict_counts(by_arm: Mapping[str, Comparison]) -> str:
    counts = {
        verdict: sum(one.verdict.startswith(verdict) for one in by_arm.values())
        for verdict in ("better", "worse", "tie", "not decided")
    }
    phrases = {"better": "{} better", "worse": "{} worse", "tie": "{} tied", "not decided": "{} not decided"}
    parts = [phrases[verdict].format(count) for verdict, count in counts.items() if count]
    return f"Verdicts for the {_count(len(by_arm), 'arm')} compared with the reference: {', '.join(parts)}."


def _is_untrained(images: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(abs(gain(image["baseline"]["psnr"], image["psnr"])) < UNTRAINED_LIMIT for image in images.values())


def _steps(study: ReportedStudy) -> str:
    steps = sorted({int(entry.arm.runs[0].results.get("step", 0)) for entry in study.entries})
    return " to ".join(dict.fromkeys(str(step) for step in (steps[0], steps[-1])))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
