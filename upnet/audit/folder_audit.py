"""audit_folder: all checks of one folder of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from upnet.audit.candidates import FeatureIndex
from upnet.audit.degradations import Fit, rank_degradations
from upnet.audit.features import Features, extract_features
from upnet.audit.finding import Finding, Report, join_some
from upnet.audit.leakage import name_leaks, report_leaks
from upnet.audit.measurement import HrMeasurement, measure_images
from upnet.audit.near_duplicates import duplicates_between, duplicates_within, find_matches, report_duplicates
from upnet.audit.pairs import FolderContent, NamePairs, pair_by_name, read_folder
from upnet.audit.parallel import parallel_map
from upnet.audit.resizing import MAX_RANKED_IMAGES, ExpectedResizing, differs_from_expected, report_resizing
from upnet.audit.shift import report_shifts
from upnet.audit.sizes import check_crop_size, check_pair_sizes, crop_remark
from upnet.audit.verification import MATCH_THRESHOLD
from upnet.imaging.reading import read_rgb
from upnet.utils.errors import UserError, join_or

DEFAULT_SCALE = 2
_MIN_PAIR_SIMILARITY = 0.8
_MIN_FULL_SHARE = 0.9

Measurements = Mapping[str, HrMeasurement]


def audit_folder(
    folder: str,
    scales: Sequence[int] = (),
    evaluation_folders: Sequence[str] = (),
    expected: ExpectedResizing = "imresize",
    patch: int = 32,
) -> Report:
    """Check all images of a folder: sizes, pairs, degradation, shift, duplicates, and leakage of evaluation images.

    folder:             HR images, or HR and LR images in one of the layouts of data/README.md.
    scales:             scales of the LR images to examine; empty: all scales in the folder.
    evaluation_folders: evaluation sets whose images must not be in the folder.
    expected:           the resizing that LR is expected to be made by.
    patch:              side of a training crop in LR pixels.

    Raises UserError if a folder is missing, empty or contains several sets, or if it has no LR images of a scale.

    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     Image.linear_gradient("L").save(Path(folder) / "gradient.png")
    ...     Image.linear_gradient("L").save(Path(folder) / "copy.png")
    ...     [finding.problem for finding in audit_folder(folder).findings]
    ['copy, gradient are equal in every pixel.']
    """
    content = read_folder(folder)
    evaluation_sets = _read_evaluation_sets(evaluation_folders)
    lr_files = _select_scales(content, scales)
    pairs = {scale: pair_by_name(content.hr, files, scale) for scale, files in lr_files.items()}
    set_sizes = {name: len(evaluation_set.hr) for name, evaluation_set in evaluation_sets.items()}
    report = Report(folder, len(content.hr), sorted(lr_files), set_sizes)
    measured = measure_images(content, {scale: scale_pairs.files for scale, scale_pairs in pairs.items()})
    report.findings += [_unreadable(name, reason) for name, image in measured.items() for reason in image.errors]
    for scale in lr_files or scales or [DEFAULT_SCALE]:
        _check_sizes(report, measured, scale, patch)
    for scale_pairs in pairs.values():
        report.findings += scale_pairs.findings
        _check_lr(report, content, scale_pairs, measured, expected)
    if not lr_files:
        report.remarks.append(
            "The folder has no LR images: upnet makes them from HR by imresize with the symmetric border."
        )
    _check_duplicates(report, content, measured, evaluation_sets)
    return report


def _read_evaluation_sets(folders: Sequence[str]) -> dict[str, FolderContent]:
    """Name -> content. Sets of the same name are named by their paths."""
    contents = {folder: read_folder(folder) for folder in folders}
    names = [content.name for content in contents.values()]
    return {folder if names.count(content.name) > 1 else content.name: content for folder, content in contents.items()}


def _select_scales(content: FolderContent, scales: Sequence[int]) -> dict[int, Mapping[str, Path]]:
    """Scale -> LR files, for the scales to examine."""
    available = dict(content.lr)
    if 0 in available:  # names without a scale
        unnamed = available.pop(0)
        scale = scales[0] if len(scales) == 1 else _measure_scale(content, unnamed)
        available[scale] = {**unnamed, **available.get(scale, {})}
    missing = [scale for scale in scales if scale not in available]
    if missing and available:
        raise UserError(
            f"{content.name} has no LR images of this scale",
            setting="--scale",
            value=missing[0],
            allowed=join_or(map(str, available)),
        )
    return {scale: available[scale] for scale in (dict.fromkeys(scales) if scales and available else available)}


def _measure_scale(content: FolderContent, lr: Mapping[str, Path]) -> int:
    """The scale of the first LR image that has an HR image."""
    for name, path in lr.items():
        if name in content.hr:
            large, small = read_rgb(content.hr[name]), read_rgb(path)
            return max(round(large.shape[0] / small.shape[0]), 1)
    return DEFAULT_SCALE


def _unreadable(name: str, reason: str) -> Finding:
    return Finding(
        "unreadable",
        f"{reason.rstrip('.')}.",
        "upnet exits with an error at this image, or skips it if data.skip_broken=true.",
        "Download it again, or save it again in another format.",
        [name],
    )


def _check_sizes(report: Report, measured: Measurements, scale: int, patch: int) -> None:
    hr = {name: image.size for name, image in measured.items() if image.size is not None}
    lr = {name: image.lr[scale].size for name, image in measured.items() if scale in image.lr}
    report.findings += check_pair_sizes(hr, lr, scale)
    report.findings += check_crop_size(hr, scale, patch)
    if (remark := crop_remark(hr, scale)) is not None:
        report.remarks.append(remark)


def _check_lr(
    report: Report, content: FolderContent, pairs: NamePairs, measured: Measurements, expected: ExpectedResizing
) -> None:
    """Check the pairing by content, the degradation and the shift of the LR images of one scale."""
    scale = pairs.scale
    lr = {name: image.lr[scale] for name, image in measured.items() if scale in image.lr and image.lr[scale].fits}
    mismatched = [name for name, image in lr.items() if image.similarity < _MIN_PAIR_SIMILARITY]
    report.findings += _report_mismatched(mismatched, pairs, measured)
    lr = {name: image for name, image in lr.items() if name not in mismatched}
    fits = {name: image.fits for name, image in lr.items()}
    ranked = _rank_some(content, pairs, fits, expected)
    findings, remarks = report_resizing(fits, ranked, scale, expected)
    shifts = {name: image.shift for name, image in lr.items() if image.shift is not None}
    shift_findings, measurements = report_shifts(shifts, scale)
    report.findings += [*findings, *shift_findings]
    report.remarks += remarks
    if measurements:
        report.measurements[f"shift x{scale}, LR pixels"] = measurements


def _rank_some(
    content: FolderContent, pairs: NamePairs, fits: Mapping[str, Sequence[Fit]], expected: ExpectedResizing
) -> dict[str, list[Fit]]:
    """Rank the candidate degradations for a sample of the images that were not made as expected."""
    scale = pairs.scale
    differing = [
        name
        for name, image_fits in fits.items()
        if image_fits[0].differing or differs_from_expected(image_fits, expected)
    ]
    step = max(len(differing) / MAX_RANKED_IMAGES, 1.0)
    sample = [differing[int(number * step)] for number in range(min(len(differing), MAX_RANKED_IMAGES))]

    def rank(index: int) -> list[Fit]:
        hr, lr = read_rgb(content.hr[sample[index]]), read_rgb(pairs.files[sample[index]])
        return rank_degradations(hr[: scale * lr.shape[0], : scale * lr.shape[1]], lr, scale)

    results = parallel_map(rank, len(sample), f"Comparing degradations ×{scale}")
    return dict(zip(sample, results, strict=True))


def _report_mismatched(names: Sequence[str], pairs: NamePairs, measured: Measurements) -> list[Finding]:
    """Findings on LR images that do not show their HR image, with the HR images that they do show."""
    features = _features(measured)
    hr_names, index = list(features), FeatureIndex(list(features.values()))
    findings = []
    for name in names:
        matches = find_matches(extract_features(read_rgb(pairs.files[name])), index)
        shown = [hr_names[number] for number, match in matches.items() if match.correlation >= MATCH_THRESHOLD]
        if name in shown and min(matches[hr_names.index(name)].shares) < _MIN_FULL_SHARE:
            content = f"shows a part of {name}, or {name} shows a part of it"
        elif name in shown:
            continue  # the same image with other brightness or strong noise, which the degradation check reports
        else:
            content = f"shows {join_some(shown)}" if shown else "shows another image"
        findings.append(
            Finding(
                "pairs",
                f"The LR image of {name}, {pairs.files[name].name}, {content}.",
                "A network cannot learn from a pair of different images.",
                "Correct the file names, or remove the pair.",
                [name],
                pairs.scale,
            )
        )
    return findings


def _check_duplicates(
    report: Report, content: FolderContent, measured: Measurements, evaluation_sets: Mapping[str, FolderContent]
) -> None:
    """Search duplicates within the folder, and images of the evaluation sets in it."""
    features = _features(measured)
    names, index = list(features), FeatureIndex(list(features.values()))
    digests = {name: measured[name].digest for name in names}
    duplicates = duplicates_within(index, f"Searching duplicates in {content.name}")
    report.findings += report_duplicates(names, digests, list(duplicates))
    for set_name, evaluation_set in evaluation_sets.items():
        evaluation_images = measure_images(evaluation_set, {})
        report.findings += [
            _unreadable(f"{name} of {set_name}", reason)
            for name, image in evaluation_images.items()
            for reason in image.errors
        ]
        evaluation_features = _features(evaluation_images)
        evaluation_index = FeatureIndex(list(evaluation_features.values()))
        duplicates = duplicates_between(evaluation_index, index, f"Searching {set_name} in {content.name}")
        report.findings += report_leaks(name_leaks(duplicates, list(evaluation_features), names), set_name)


def _features(measured: Measurements) -> dict[str, Features]:
    """Name -> features of the readable images."""
    return {name: image.features for name, image in measured.items() if image.features is not None}
