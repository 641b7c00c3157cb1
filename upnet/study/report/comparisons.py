"""Statistics of a report: per data set, every arm compared with the reference arm at the same factor levels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from upnet.metrics import cap_psnr
from upnet.study.finished_runs import Arm
from upnet.study.report.arms import ArmEntry, ReportedStudy
from upnet.study.statistics import Comparison, compare
from upnet.utils.errors import UserError


@dataclass(frozen=True)
class DatasetComparisons:
    """The comparisons on one data set.

    by_arm:   name of an arm -> its comparison with the reference.
    families: groups of comparisons; Holm's correction is made within each.
    remarks:  sentences on arms that could not be compared.
    """

    by_arm: Mapping[str, Comparison]
    families: Sequence[Sequence[Comparison]]
    remarks: Sequence[str]


def compare_with_reference(study: ReportedStudy, dataset: str) -> DatasetComparisons:
    """Compare every arm with the reference at the same factor levels, on the seeds that both have."""
    by_arm: dict[str, Comparison] = {}
    families: list[list[Comparison]] = []
    remarks: list[str] = []
    for group in dict.fromkeys(entry.group for entry in study.entries):
        entries = [entry for entry in study.entries if entry.group == group]
        reference = next((entry for entry in entries if entry.is_reference), None)
        where = f" at {group}" if group else ""
        if reference is None:
            remarks.append(f"No arm is compared{where}: the reference arm {study.reference} has no results there.")
            continue
        comparable = [entry for entry in entries if _seeds(entry) & _seeds(reference)]
        remarks += [
            f"{entry.name} is not compared with {reference.name}: they have no seed in common."
            for entry in entries
            if entry not in comparable
        ]
        try:
            family = compare({entry.name: psnr_by_seed(entry.arm, dataset) for entry in comparable}, reference.name)
        except UserError as error:
            remarks.append(f"No arm is compared on {dataset}{where}: {error}.")
            continue
        families.append(family)
        by_arm |= {comparison.arm: comparison for comparison in family}
    return DatasetComparisons(by_arm, families, remarks)


def psnr_by_seed(arm: Arm, dataset: str) -> dict[int, dict[str, float]]:
    """PSNR in dB by seed and image, capped as in means, for the images that the means include."""
    scores = {run.seed: run.results["datasets"][dataset] for run in arm.runs}
    return {
        seed: {
            name: cap_psnr(image["psnr"]) for name, image in values["images"].items() if name not in values["left_out"]
        }
        for seed, values in scores.items()
    }


def image_differences(study: ReportedStudy, dataset: str) -> dict[str, dict[str, float]]:
    """By arm and image, PSNR of the arm − PSNR of the reference in dB: the mean over their common seeds."""
    differences: dict[str, dict[str, float]] = {}
    for entry in study.entries:
        reference = next((other for other in study.entries if other.is_reference and other.group == entry.group), None)
        if reference is None or entry is reference:
            continue
        psnrs, reference_psnrs = psnr_by_seed(entry.arm, dataset), psnr_by_seed(reference.arm, dataset)
        seeds = sorted(set(psnrs) & set(reference_psnrs))
        if not seeds:
            continue
        scores = [by_seed[seed] for seed in seeds for by_seed in (psnrs, reference_psnrs)]
        images = [name for name in psnrs[seeds[0]] if all(name in by_image for by_image in scores)]
        differences[entry.name] = {
            name: float(np.mean([psnrs[seed][name] - reference_psnrs[seed][name] for seed in seeds])) for name in images
        }
    return differences


def _seeds(entry: ArmEntry) -> set[int]:
    return {run.seed for run in entry.arm.runs}
