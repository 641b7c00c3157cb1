"""The contents of a report: arms, differences, warnings and limitations."""

import json
from typing import Any

import numpy as np
import pytest
from reported_study import SPECIAL_NAME, Study

from upnet.study.finished_runs import read_study
from upnet.study.report import assemble_report
from upnet.study.report.arms import ReportedStudy, reported_study
from upnet.study.report.commentary import study_limitations, untrained_arms
from upnet.study.report.comparisons import compare_with_reference, image_differences
from upnet.study.report.sections import dataset_section
from upnet.study.run_table import study_content


def reported(study: Study) -> ReportedStudy:
    return reported_study(study.folder, *read_study(study.folder))


def test_plan_names_arms_and_reference(study: Study) -> None:
    """Without a plan, as after a multirun, the transposed convolution is the reference."""
    arms, unfinished = read_study(study.folder)
    assert reported_study(study.folder, arms, unfinished).reference == "Transposed"
    study.write_plan()
    planned = reported_study(study.folder, arms, unfinished)
    assert [(entry.name, entry.is_reference) for entry in planned.entries] == [(SPECIAL_NAME, False), ("plain", True)]
    assert (planned.reference, planned.match) == ("plain", "params")


def test_missing_results_are_listed_once_per_arm_and_reason(study: Study) -> None:
    study.write_plan(failure="no memory left")
    plan = json.loads((study.folder / "plan.json").read_text())
    plan["cells"] += [{**plan["cells"][-1], "folder": f"{n}-run", "seed": n} for n in (5, 6)]
    (study.folder / "plan.json").write_text(json.dumps(plan))
    assert reported(study).missing == ["wide, seed 0: failed: no memory left", "wide, seeds 5, 6: not finished"]


def test_differences_are_those_of_the_scores(study: Study) -> None:
    result = reported(study)
    comparison = compare_with_reference(result, "images").by_arm["Nearest"]
    assert comparison.difference == pytest.approx(1.0)
    assert comparison.verdict == "better"
    assert list(image_differences(result, "images")["Nearest"].values()) == pytest.approx([1.0] * 3)


def test_statistics_leave_out_images_whose_baseline_is_exact_and_count_exact_outputs(study: Study) -> None:
    first, second, third = study.stores["images"].names

    def change(content: dict[str, Any]) -> None:
        content["datasets"]["images"]["images"][first] |= {"psnr": 64.0, "baseline": {"psnr": "inf", "ssim": 1.0}}

    def make_exact(content: dict[str, Any]) -> None:
        content["datasets"]["images"]["images"][second]["psnr"] = "inf"

    study.change_results(change)
    study.change_results(make_exact, 2)
    arms, unfinished = read_study(study.folder)
    result = reported_study(study.folder, arms, unfinished)
    comparison = compare_with_reference(result, "images").by_arm["Nearest"]
    assert comparison.images == 2
    assert comparison.difference == pytest.approx((100.0 - 30.1 + 3 * 1.0) / 4)
    differences = image_differences(result, "images")["Nearest"]
    assert differences == pytest.approx({second: (100.0 - 30.1 + 1.0) / 2, third: 1.0})
    assert np.mean(list(differences.values())) == pytest.approx(comparison.difference)
    means = {row["arm"]: row["psnr"] for row in study_content(arms)["datasets"]["images"]}
    assert means["Nearest"] - means["Transposed"] == pytest.approx(comparison.difference)
    section = dataset_section(result, "images", dict.fromkeys(means, "–"), dict.fromkeys(means, 1.0), "")
    assert any(f"bicubic equals the target: {first}." in sentence for sentence in section.limits)
    assert any(f"an output of Nearest equals the target: {second}." in note for note in section.table.notes)


def test_untrained_runs_are_reported(study: Study) -> None:
    assert not untrained_arms(reported(study), "images")

    def untrain(content: dict[str, Any]) -> None:
        for scores in content["datasets"]["images"]["images"].values():
            scores["psnr"] = scores["baseline"]["psnr"] + 0.005

    study.change_results(untrain, 0, 2, 3)
    (sentence,) = untrained_arms(reported(study), "images")
    assert "Transposed (1 of 2 runs)" in sentence
    assert "Nearest (2 of 2 runs)" in sentence
    assert "within 0.01 dB of bicubic" in sentence


def test_limitations_name_the_training_settings_in_which_arms_differ(study: Study) -> None:
    limits = study_limitations(reported(study))
    assert any("3 steps with the same training settings" in sentence for sentence in limits)
    study.change_results(lambda content: content["settings"].update(optimizer={"lr": 0.1}), 0, 1)
    limits = study_limitations(reported(study))
    assert any("3 steps and differ in optimizer.lr." in sentence for sentence in limits)


def test_missing_images_are_stated_and_the_rest_is_reported(study: Study) -> None:
    report = assemble_report(study.folder, *read_study(study.folder), stores={})
    assert not report.details
    assert any("not on this machine" in sentence for sentence in report.missing)
    assert report.sections[0].findings


def test_renamed_components_are_read(study: Study) -> None:
    for path in study.folder.glob("*/results.json"):
        text = path.read_text()
        assert "upnet.encoders.MaxPoolEncoder" in text
        path.write_text(text.replace("upnet.encoders.MaxPoolEncoder", "upnet.encoders.Plain"))
    arms, _ = read_study(study.folder)
    assert {arm.runs[0].results["model"]["encoder"]["_target_"] for arm in arms} == {"upnet.encoders.MaxPoolEncoder"}
