"""The findings and limitations of a report, as sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from upnet.metrics import gain
from upnet.study.arm_names import flatten
from upnet.study.report.arms import ReportedStudy
from upnet.study.report.tables import thousands
from upnet.study.statistics import Comparison
from upnet.study.statistics.verdicts import findings, format_difference

UNTRAINED_LIMIT = 0.01
"""In dB: a network whose PSNR differs from the baseline's by less than this on every image counts as untrained."""


def comparison_summary(
    dataset: str, by_arm: Mapping[str, Comparison], means: Mapping[str, float], baseline: Mapping[str, Any]
) -> list[str]:
    """The arm with the highest mean PSNR and its difference from the reference, and a count of the verdicts.

    by_arm:   name of an arm -> its comparison with the reference.
    means:    name of every arm -> its mean PSNR in dB.
    baseline: the interpolation's `name` and mean `psnr`.
    """
    if not by_arm:
        return []
    best = max(means, key=lambda name: means[name])
    sentence = (
        f"{best} has the highest mean PSNR on {dataset}: {means[best]:.3f} dB, compared with "
        f"{float(baseline['psnr']):.3f} dB of {baseline['name']} interpolation"
    )
    comparison = by_arm.get(best)
    outcome = "It is the reference arm." if comparison is None else _describe_outcome(comparison)
    return [f"{sentence}. {outcome}", *_count_verdicts(by_arm)]


def _describe_outcome(comparison: Comparison) -> str:
    """A sentence on the difference between the best arm and the reference."""
    subject = f"Its difference from the reference {comparison.reference}"
    difference = f"{format_difference(comparison)}, {comparison.level:.0%} confidence interval"
    if not comparison.decided:
        return f"{subject} is not tested ({comparison.verdict.removeprefix('not decided: ')})."
    p = "p < 0.001" if comparison.p_holm < 0.001 else f"p = {comparison.p_holm:.3f}"
    tested = f"{difference}; {p} after Holm's correction"
    if comparison.verdict in ("better", "worse"):
        return f"{subject} is significant: {tested}."
    if comparison.p_holm < 1 - comparison.level:
        return f"{subject} is below the tie margin of {comparison.tie_within:g} dB: {tested}."
    return f"{subject} is not significant: {tested}."


def untrained_arms(study: ReportedStudy, dataset: str) -> list[str]:
    """A sentence on the runs whose network has the PSNR of the baseline on every image; empty if there are none."""
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
    shown = [comparison if comparison.decided else replace(comparison, remark=None) for comparison in comparisons]
    return [f"{sentence}." for sentence in findings(shown)]


def study_limitations(study: ReportedStudy) -> list[str]:
    """The limitations that hold for all data sets: of the design, the training and the number of seeds."""
    parameters = [entry.arm.parameters for entry in study.entries]
    fewest = min(len(entry.arm.runs) for entry in study.entries)
    sentences = []
    if len(study.entries) > 2:
        sentences.append(
            "Each arm is compared with the reference alone. Different verdicts of two arms do not imply a significant "
            "difference between them."
        )
    sentences.append(_training_limitation(study))
    if study.match == "none" and max(parameters) > 1.01 * min(parameters):
        sentences.append(
            f"Network sizes were not matched: the arms have {thousands(min(parameters))} to "
            f"{thousands(max(parameters))} parameters. A difference may be due to network size as well as to the "
            "operator."
        )
    if fewest < 3:
        sentences.append(
            f"At least one arm has only {fewest} {'seed' if fewest == 1 else 'seeds'}. Use three seeds or more for "
            "conclusions about operators."
        )
    sentences.append(
        "Image details, spectra and diagnostics show one trained network per arm, the one of its first seed."
    )
    return sentences


def _training_limitation(study: ReportedStudy) -> str:
    """What the arms have in common in training, and what follows for the generality of the results."""
    settings = [flatten(run.results["settings"]) for entry in study.entries for run in entry.arm.runs]
    names = sorted({name for values in settings for name in values if name != "seed"})
    if not names:
        return "The results do not state the training settings."
    differing = [name for name in names if len({repr(values.get(name)) for values in settings}) > 1]
    training = (
        f"and differ in {', '.join(differing)}."
        if differing
        else "with the same training settings. The learning rate was not tuned per arm."
    )
    return (
        f"All arms were trained for {_steps(study)} steps {training} Another training budget or other images may "
        "change the ranking."
    )


def _count_verdicts(by_arm: Mapping[str, Comparison]) -> list[str]:
    """A sentence with the number of arms by verdict; none for a single arm, which has a sentence of its own."""
    if len(by_arm) < 2:
        return []
    phrases = {"better": "better", "worse": "worse", "tie": "tied", "not decided": "not decided"}
    counts = {
        phrase: sum(comparison.verdict.startswith(verdict) for comparison in by_arm.values())
        for verdict, phrase in phrases.items()
    }
    parts = [f"{count} {'is' if count == 1 else 'are'} {phrase}" for phrase, count in counts.items() if count]
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return [f"Of the {len(by_arm)} arms that are compared with the reference, {text}."]


def _is_untrained(images: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(abs(gain(image["baseline"]["psnr"], image["psnr"])) < UNTRAINED_LIMIT for image in images.values())


def _steps(study: ReportedStudy) -> str:
    """The number of training steps, `300`, or their range."""
    steps = sorted({int(entry.arm.runs[0].results.get("step", 0)) for entry in study.entries})
    return " to ".join(dict.fromkeys(str(step) for step in (steps[0], steps[-1])))
