"""The statistics of a report: every arm against the reference at the same levels, data set by data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from upnet.metrics import cap_psnr
from upnet.study.report.arms import ArmEntry, ReportedStudy
from upnet.study.run_table import Arm
from upnet.study.statistics import Comparison, compare


@dataclass(frozen=True)
class DatasetComparisons:
    """On one data set: by arm, what the comparison says; families are those that Holm's correction was made over.

    remarks: why some arm could not be compared.
    """

    by_arm: Mapping[str, Comparison]
    families: Sequence[Sequence[Comparison]]
    remarks: Sequence[str]


def compare_with_reference(planned: ReportedStudy, dataset: str) -> DatasetComparisons:
    """Every arm but the references."""
    found: dict[str, Comparison] = {}
    families: list[list[Comparison]] = []
    remarks: list[str] = []
    for group in dict.fromkeys(entry.group for entry in planned.entries):
        entries = [entry for entry in planned.entries if entry.group == group]
        reference = next((entry for entry in entries if entry.is_reference), None)
        where = f" at {group}" if group else ""
        if reference is None:
            remarks.append(f"{planned.reference}, the reference, has no results{where}, so nothing is compared there.")
            continue
        fit = [entry for entry in entries if _seeds(entry) & _seeds(reference)]
        remarks += [
            f"{entry.name} shares no seed with {reference.name}, so they are not compared."
            for entry in entries
            if entry not in fit
        ]
        try:
            family = compare({entry.name: psnr_by_seed(entry.arm, dataset) for entry in fit}, reference.name)
        except ValueError as fault:
            remarks.append(f"On {dataset} nothing is compared{where}: {fault}.")
            continue
        families.append(family)
        found |= {one.arm: one for one in family}
    return DatasetComparisons(found, families, remarks)


def psnr_by_seed(arm: Arm, dataset: str) -> dict[int, dict[str, float]]:
    """PSNR in dB by seed and picture, of the pictures that the means are over, as they count there."""
    told = {int(run.results["seed"]): run.results["datasets"][dataset] for run in arm.runs}
    return {
        seed: {name: cap_psnr(score["psnr"]) for name, score in one["images"].items() if name not in one["left_out"]}
        for seed, one in told.items()
    }


def image_differences(planned: ReportedStudy, dataset: str) -> dict[str, dict[str, float]]:
    """By arm and picture, arm − reference in dB, the mean over the seeds that both have; see `scores`."""
    told: dict[str, dict[str, float]] = {}
    for entry in planned.entries:
        reference = next((one for one in planned.entries if one.is_reference and one.group == entry.group), None)
        if reference is None or entry is reference:
            continue
        own, other = psnr_by_seed(entry.arm, dataset), psnr_by_seed(reference.arm, dataset)
        seeds = sorted(set(own) & set(other))
        if not seeds:
            continue
        tables = [table[seed] for seed in seeds for table in (own, other)]
        common = [name for name in own[seeds[0]] if all(name in table for table in tables)]
        told[entry.name] = {
            name: float(np.mean([own[seed][name] - other[seed][name] for seed in seeds])) for name in common
        }
    return told


def _seeds(entry: ArmEntry) -> set[int]:
    return {int(run.results["seed"]) for run in entry.arm.runs}
