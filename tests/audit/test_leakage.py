"""The warning about validation images among the training images; the search runs only once."""

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from upnet.audit import leakage, parallel
from upnet.data import Folder, Store, build_store

Save = Callable[[Path, np.ndarray], None]


@pytest.fixture
def stores(tmp_path: Path, photographs: dict[str, np.ndarray], save: Save) -> tuple[Store, Store]:
    """A training set and a validation set, which contains a mirrored, recompressed crop of a training image."""
    for name in ("coffee", "coins", "camera"):
        save(tmp_path / "train" / f"{name}.png", photographs[name])
    save(tmp_path / "val" / "cup.jpg", photographs["coffee"][30:230, 80:330][:, ::-1])
    save(tmp_path / "val" / "other.png", photographs["astronaut"])
    train, val = (build_store(Folder(str(tmp_path / name)), 2, tmp_path / "cache") for name in ("train", "val"))
    return train, val


def test_the_warning_names_both_images_and_the_orientation(
    stores: tuple[Store, Store], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        leaks = leakage.warn_of_leakage(stores[0], {"val": stores[1]})
    assert len(leaks) == 1
    (record,) = caplog.records
    assert "cup of val is coffee of train (" in record.getMessage()
    assert "mirrored" in record.getMessage()


def test_disjoint_sets_give_no_warning(stores: tuple[Store, Store], caplog: pytest.LogCaptureFixture) -> None:
    # test_near_duplicates compares the photographs with each other; this test checks the log.
    assert leakage.warn_of_leakage(stores[1], {}) == []
    assert caplog.records == []


def test_a_second_search_reads_the_stored_result(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    first = leakage.find_leaks(*stores)

    def raise_assertion_error(image: object) -> None:
        raise AssertionError("features were extracted again")

    monkeypatch.setattr(leakage, "extract_features", raise_assertion_error)
    assert leakage.find_leaks(*stores) == first
    (stores[0].folder / f"copies-{leakage.VERSION}-{stores[1].digest[:24]}.json").unlink()
    assert leakage.find_leaks(*stores) == first  # from the features that both stores contain


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"[]"])
def test_damaged_result_files_are_computed_again(stores: tuple[Store, Store], damage: bytes) -> None:
    first = leakage.find_leaks(*stores)
    for file in (*stores[0].folder.glob("copies-*"), *stores[0].folder.glob("features-*")):
        file.write_bytes(damage)
    assert leakage.find_leaks(*stores) == first


def test_a_read_only_store_is_searched_without_storing_the_result(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny_permission(*rest: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", deny_permission)
    assert [leak.evaluation_image for leak in leakage.find_leaks(*stores)] == ["cup"]
    assert not list(stores[0].folder.glob(".upnet-*"))


def test_the_warning_names_both_images(stores: tuple[Store, Store], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        leakage.warn_of_leakage(stores[0], {"val": stores[1]})
    assert any("cup of val is coffee of train" in record.getMessage() for record in caplog.records)


def _slow_down_feature_extraction(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Delay each feature extraction by 0.2 s. Return the heights of the images that are processed."""
    heights: list[int] = []
    original_extract_features = leakage.extract_features

    def extract_features(image: np.ndarray) -> object:
        heights.append(len(image))
        time.sleep(0.2)
        return original_extract_features(image)

    monkeypatch.setattr(leakage, "extract_features", extract_features)
    monkeypatch.setattr(parallel, "_WARM_UP_SECONDS", 0.1)
    monkeypatch.setattr(parallel, "_MIN_LOGGED_SECONDS", 0.1)
    return heights


def test_a_search_over_the_time_limit_is_skipped_with_its_duration_and_the_setting(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heights = _slow_down_feature_extraction(monkeypatch)
    with caplog.at_level(logging.WARNING, "upnet.audit"):
        assert leakage.warn_of_leakage(stores[0], {"val": stores[1]}, 0.15) == []
    assert len(heights) <= 3  # only training images
    message = caplog.records[-1].getMessage()
    assert "near duplicates of validation images among the 3 images of train is skipped" in message
    assert "it would take about" in message
    assert "data.copy_check=0.15 allows 0.15 s. Set data.copy_check=null to search without limit" in message


def test_the_expected_duration_of_a_search_is_logged_first(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _slow_down_feature_extraction(monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    with caplog.at_level(logging.INFO, "upnet.audit"):
        assert len(leakage.warn_of_leakage(stores[0], {"val": stores[1]}, 60)) == 1
    assert re.search(r"Reading train: 3 images, about \d+ s", caplog.text)


def test_a_limit_of_zero_seconds_skips_the_search(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    heights = _slow_down_feature_extraction(monkeypatch)
    assert leakage.warn_of_leakage(stores[0], {"val": stores[1]}, 0) == []
    assert heights == []


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (40, "40 s"), (175, "3 min"), (5400, "90 min"), (9000, "2 h")]
)
def test_durations_are_formatted_with_one_unit(seconds: float, expected: str) -> None:
    assert parallel.format_duration(seconds) == expected
