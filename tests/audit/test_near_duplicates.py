"""Near duplicates are found after any manipulation; different images are not reported."""

import io

import numpy as np
import pytest
from PIL import Image

from upnet.audit.candidates import FeatureIndex
from upnet.audit.features import extract_features
from upnet.audit.image_ops import ORIENTATIONS
from upnet.audit.near_duplicates import duplicates_between, duplicates_within, find_matches
from upnet.audit.verification import MATCH_THRESHOLD

NAMES = ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket")


@pytest.fixture(scope="module")
def index(photographs: dict[str, np.ndarray]) -> FeatureIndex:
    return FeatureIndex([extract_features(photographs[name]) for name in NAMES])


def _resized(picture: np.ndarray, factor: float) -> np.ndarray:
    size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BICUBIC))


def _cropped(picture: np.ndarray, area: float) -> np.ndarray:
    height, width = (round(side * area**0.5) for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def _pressed(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


CHANGES = {
    "the same": lambda p: p,
    "reduced": lambda p: _resized(p, 0.4),
    "enlarged": lambda p: _resized(p, 1.7),
    "mirrored": lambda p: p[:, ::-1],
    "turned": lambda p: np.rot90(p),
    "cropped": lambda p: _cropped(p, 0.4),
    "cropped and enlarged": lambda p: _resized(_cropped(p, 0.4), 1.5),
    "compressed": lambda p: _pressed(p, 20),
    "grey": lambda p: np.repeat(p.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2),
    "faded": lambda p: (0.6 * p + 70).astype(np.uint8),
    "squeezed": lambda p: _resized(p, 1)[:, ::2],
    "all at once": lambda p: _pressed(_resized(np.rot90(_cropped(p, 0.5))[:, ::-1], 0.8), 40),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_manipulated_copy_is_found_and_nothing_else(
    change: str, photographs: dict[str, np.ndarray], index: FeatureIndex
) -> None:
    for number, name in enumerate(NAMES):
        if name == "rocket" and "cropped" in change:
            continue  # its middle is little but sky
        found = find_matches(extract_features(np.ascontiguousarray(CHANGES[change](photographs[name]))), index)
        assert [other for other, one in found.items() if one.correlation >= MATCH_THRESHOLD] == [number], name


def test_the_box_of_a_crop_is_measured(photographs: dict[str, np.ndarray], index: FeatureIndex) -> None:
    picture = photographs["coffee"]
    height, width = picture.shape[:2]
    part = np.ascontiguousarray(picture[20:170, 60:280][:, ::-1])
    one = find_matches(extract_features(part), index)[NAMES.index("coffee")]
    assert ORIENTATIONS[one.orientation] == "mirrored"
    assert one.box == pytest.approx((60 / width, 20 / height, 280 / width, 170 / height), abs=0.005)
    assert one.shares == pytest.approx((1, 150 * 220 / height / width), abs=0.03)


def test_two_overlapping_crops_of_one_photograph_are_found(photographs: dict[str, np.ndarray]) -> None:
    picture = photographs["astronaut"]
    left, right = (np.ascontiguousarray(part) for part in (picture[:, :170], picture[:, 80:]))
    (copy,) = duplicates_between(FeatureIndex([extract_features(left)]), FeatureIndex([extract_features(right)]))
    assert copy.match.shares == pytest.approx((90 / 170, 90 / 176), abs=0.04)


def test_duplicates_within_a_set_are_reported_once_per_pair(photographs: dict[str, np.ndarray]) -> None:
    pictures = [photographs["coffee"], photographs["chelsea"], photographs["coffee"][:, ::-1]]
    index = FeatureIndex([extract_features(np.ascontiguousarray(picture)) for picture in pictures])
    assert [(copy.first, copy.second) for copy in duplicates_within(index)] == [(0, 2)]


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (16, 16), (30, 30)])
def test_tiny_and_flat_images_are_no_duplicates(size: tuple[int, int], index: FeatureIndex) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for picture in (noise, np.full((*size, 3), 128, np.uint8)):
        assert all(one.correlation < MATCH_THRESHOLD for one in find_matches(extract_features(picture), index).values())
    flats = FeatureIndex([extract_features(np.full((*size, 3), grey, np.uint8)) for grey in (0, 0, 255)])
    assert list(duplicates_within(flats)) == []


def test_an_empty_index_contains_no_duplicates(index: FeatureIndex) -> None:
    assert list(duplicates_between(index, FeatureIndex([]))) == []
    assert list(duplicates_between(FeatureIndex([]), index)) == []
