"""Pairing by name agrees with upnet.data.Paired; unpaired images are reported with the expected name."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from upnet.audit import sizes
from upnet.audit.pairs import pair_by_name, read_folder
from upnet.data.sources.paired import Paired


def _paths(*names: str) -> dict[str, Path]:
    return {name: Path(f"{name}.png") for name in names}


def test_pairs_equal_the_pairs_of_paired(
    tmp_path: Path, noise: Callable[..., np.ndarray], save: Callable[..., None]
) -> None:
    for name in ("a", "b", "picx2"):
        save(tmp_path / "HR" / f"{name}.png", noise(8, 8))
    for name in ("ax2", "b", "picx2"):
        save(tmp_path / "LR_bicubic" / "X2" / f"{name}.png", noise(4, 4))
    layout = read_folder(str(tmp_path))
    paired = pair_by_name(layout.hr, layout.lr[2], 2)
    assert paired.findings == []
    assert paired.files == Paired(str(tmp_path)).lr_files(2)


def test_name_suffixes_give_the_scale_in_a_flat_folder(
    tmp_path: Path, noise: Callable[..., np.ndarray], save: Callable[..., None]
) -> None:
    save(tmp_path / "HR" / "a.png", noise(12, 12))
    for scale in (2, 3):
        save(tmp_path / "LR" / f"ax{scale}.png", noise(12 // scale, 12 // scale))
    assert {scale: list(found) for scale, found in read_folder(str(tmp_path)).lr.items()} == {2: ["ax2"], 3: ["ax3"]}


@pytest.mark.parametrize(("wrong", "right"), [("img-1x2", "img_001"), ("IMG_001", "img_001"), ("img_001x3", "img_001")])
def test_a_wrong_name_is_reported_with_the_expected_name(wrong: str, right: str) -> None:
    (finding,) = pair_by_name(_paths(right, "b"), _paths(wrong, "bx2"), 2).findings
    assert "wrong name" in finding.problem
    assert f"{wrong} for {right}" in finding.problem


def test_hr_and_lr_images_without_a_partner_are_counted_separately() -> None:
    findings = pair_by_name(_paths("sea", "hill", "tree"), _paths("seax2", "unrelatedx2"), 2).findings
    assert [finding.problem for finding in findings] == [
        "2 HR images have no LR image: hill, tree.",
        "1 LR image has no HR image: unrelatedx2.",
    ]


def test_pairing_thousands_of_unmatched_names_takes_seconds() -> None:
    start = time.process_time()
    hr, lr = _paths(*(f"sea{n}" for n in range(3000))), _paths(*(f"hill{n}x2" for n in range(3000)))
    findings = pair_by_name(hr, lr, 2).findings
    assert time.process_time() - start < 5
    assert findings[-1].problem.startswith("3000 LR images have no HR image")


def test_a_second_lr_partner_is_reported() -> None:
    (finding,) = pair_by_name(_paths("a"), _paths("a", "ax2"), 2).findings
    assert "second LR" in finding.problem


def test_wrong_lr_sizes_are_reported_with_the_scale_that_fits() -> None:
    hr = {"a": (12, 24), "b": (13, 12)}
    assert sizes.check_pair_sizes(hr, {"a": (6, 12), "b": (6, 6)}, 2) == []
    (finding,) = sizes.check_pair_sizes(hr, {"a": (4, 8), "b": (4, 4)}, 2)
    assert finding.images == ["a", "b"]
    assert "fit scale 3" in finding.problem
    (finding,) = sizes.check_pair_sizes(hr, {"b": (7, 6)}, 2)
    assert "b (HR 13×12, LR 7×6)" in finding.problem
    assert "fit scale" not in finding.problem


def test_images_smaller_than_a_crop_are_reported() -> None:
    assert sizes.check_crop_size({"a": (64, 65)}, 2, 32) == []
    (finding,) = sizes.check_crop_size({"a": (63, 200)}, 2, 32)
    assert finding.images == ["a"]
    assert "64×64" in finding.problem
