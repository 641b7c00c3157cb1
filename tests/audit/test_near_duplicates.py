"""Copies are found however they were manipulated, and strangers are not."""

import io

import numpy as np
import pytest
from PIL import Image

from upnet.audit.candidates import Album
from upnet.audit.features import describe
from upnet.audit.image_ops import TURNS
from upnet.audit.near_duplicates import likenesses, repeated, shared
from upnet.audit.verification import ALIKE

NAMES = ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket")


@pytest.fixture(scope="module")
def album(photographs: dict[str, np.ndarray]) -> Album:
    return Album([describe(photographs[name]) for name in NAMES])


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
    change: str, photographs: dict[str, np.ndarray], album: Album
) -> None:
    for number, name in enumerate(NAMES):
        if name == "rocket" and "cropped" in change:
            continue  # its middle is little but sky
        found = likenesses(describe(np.ascontiguousarray(CHANGES[change](photographs[name]))), album)
        assert [other for other, one in found.items() if one.score >= ALIKE] == [number], name


def test_the_place_of_a_crop_is_told(photographs: dict[str, np.ndarray], album: Album) -> None:
    picture = photographs["coffee"]
    height, width = picture.shape[:2]
    part = np.ascontiguousarray(picture[20:170, 60:280][:, ::-1])
    one = likenesses(describe(part), album)[NAMES.index("coffee")]
    assert TURNS[one.turn] == "mirrored"
    assert one.box == pytest.approx((60 / width, 20 / height, 280 / width, 170 / height), abs=0.005)
    assert one.shares == pytest.approx((1, 150 * 220 / height / width), abs=0.03)


def test_two_overlapping_crops_of_one_photograph_are_found(photographs: dict[str, np.ndarray]) -> None:
    picture = photographs["astronaut"]
    left, right = (np.ascontiguousarray(part) for part in (picture[:, :170], picture[:, 80:]))
    (copy,) = shared(Album([describe(left)]), Album([describe(right)]))
    assert copy.likeness.shares == pytest.approx((90 / 170, 90 / 176), abs=0.04)


def test_repeated_names_every_pair_once(photographs: dict[str, np.ndarray]) -> None:
    pictures = [photographs["coffee"], photographs["chelsea"], photographs["coffee"][:, ::-1]]
    album = Album([describe(np.ascontiguousarray(picture)) for picture in pictures])
    assert [(copy.first, copy.second) for copy in repeated(album)] == [(0, 2)]


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (16, 16), (30, 30)])
def test_pictures_too_small_or_flat_for_features_are_no_copies(size: tuple[int, int], album: Album) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for picture in (noise, np.full((*size, 3), 128, np.uint8)):
        assert all(one.score < ALIKE for one in likenesses(describe(picture), album).values())
    flats = Album([describe(np.full((*size, 3), grey, np.uint8)) for grey in (0, 0, 255)])
    assert list(repeated(flats)) == []


def test_an_album_of_nothing_holds_no_copies(album: Album) -> None:
    assert list(shared(album, Album([]))) == []
    assert list(shared(Album([]), album)) == []
