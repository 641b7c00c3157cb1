"""Near duplicates are found after each transform; different images are not reported."""

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


def _resize(image: np.ndarray, factor: float) -> np.ndarray:
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BICUBIC))


def _crop(image: np.ndarray, area: float) -> np.ndarray:
    height, width = (round(side * area**0.5) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


TRANSFORMS = {
    "the same": lambda p: p,
    "reduced": lambda p: _resize(p, 0.4),
    "enlarged": lambda p: _resize(p, 1.7),
    "mirrored": lambda p: p[:, ::-1],
    "turned": lambda p: np.rot90(p),
    "cropped": lambda p: _crop(p, 0.4),
    "cropped and enlarged": lambda p: _resize(_crop(p, 0.4), 1.5),
    "compressed": lambda p: _compress(p, 20),
    "grey": lambda p: np.repeat(p.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2),
    "faded": lambda p: (0.6 * p + 70).astype(np.uint8),
    "squeezed": lambda p: _resize(p, 1)[:, ::2],
    "all at once": lambda p: _compress(_resize(np.rot90(_crop(p, 0.5))[:, ::-1], 0.8), 40),
}


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transformed_copy_matches_only_its_original(
    transform: str, photographs: dict[str, np.ndarray], index: FeatureIndex
) -> None:
    for number, name in enumerate(NAMES):
        if name == "rocket" and "cropped" in transform:
            continue  # the centre of this image is mostly sky
        matches = find_matches(extract_features(np.ascontiguousarray(TRANSFORMS[transform](photographs[name]))), index)
        assert [target for target, match in matches.items() if match.correlation >= MATCH_THRESHOLD] == [number], name


def test_the_position_of_a_crop_is_estimated(photographs: dict[str, np.ndarray], index: FeatureIndex) -> None:
    image = photographs["coffee"]
    height, width = image.shape[:2]
    crop = np.ascontiguousarray(image[20:170, 60:280][:, ::-1])
    match = find_matches(extract_features(crop), index)[NAMES.index("coffee")]
    assert ORIENTATIONS[match.orientation] == "mirrored"
    assert match.box == pytest.approx((60 / width, 20 / height, 280 / width, 170 / height), abs=0.005)
    assert match.shares == pytest.approx((1, 150 * 220 / height / width), abs=0.03)


def test_overlapping_crops_of_one_photograph_are_duplicates(photographs: dict[str, np.ndarray]) -> None:
    image = photographs["astronaut"]
    left, right = (np.ascontiguousarray(crop) for crop in (image[:, :170], image[:, 80:]))
    (copy,) = duplicates_between(FeatureIndex([extract_features(left)]), FeatureIndex([extract_features(right)]))
    assert copy.match.shares == pytest.approx((90 / 170, 90 / 176), abs=0.04)


def test_duplicates_within_a_set_are_reported_once_per_pair(photographs: dict[str, np.ndarray]) -> None:
    images = [photographs["coffee"], photographs["chelsea"], photographs["coffee"][:, ::-1]]
    index = FeatureIndex([extract_features(np.ascontiguousarray(image)) for image in images])
    assert [(copy.first, copy.second) for copy in duplicates_within(index)] == [(0, 2)]


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (16, 16), (30, 30)])
def test_tiny_and_flat_images_are_not_duplicates(size: tuple[int, int], index: FeatureIndex) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for image in (noise, np.full((*size, 3), 128, np.uint8)):
        assert all(
            match.correlation < MATCH_THRESHOLD for match in find_matches(extract_features(image), index).values()
        )
    flat_index = FeatureIndex([extract_features(np.full((*size, 3), grey, np.uint8)) for grey in (0, 0, 255)])
    assert list(duplicates_within(flat_index)) == []


def test_an_empty_index_contains_no_duplicates(index: FeatureIndex) -> None:
    assert list(duplicates_between(index, FeatureIndex([]))) == []
    assert list(duplicates_between(FeatureIndex([]), index)) == []
