"""Every candidate degradation is recognised from its own LR image."""

import io
import math
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from upnet.audit.degradations import candidate_degradations, compare, fit_imresize, rank_degradations
from upnet.imaging.imresize import imresize


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("degradation", candidate_degradations(2))
def test_the_best_fit_of_an_lr_image_is_its_own_degradation(
    degradation: str, scale: int, photographs: dict[str, np.ndarray]
) -> None:
    hr = photographs["astronaut"][: 40 * 6, : 36 * 6]
    names = dict(zip(candidate_degradations(2), candidate_degradations(scale), strict=True))
    lr = candidate_degradations(scale)[names[degradation]](hr)
    best = rank_degradations(hr, lr, scale)[0]
    assert best.psnr == math.inf
    assert np.array_equal(candidate_degradations(scale)[best.degradation](hr), lr)  # two degradations may coincide


def test_a_crop_of_a_large_image_identifies_its_degradation() -> None:
    hr = np.random.default_rng(0).integers(0, 256, (800, 900, 3), np.uint8)
    best = rank_degradations(hr, candidate_degradations(2)["Pillow's Lanczos"](hr), 2)[0]
    assert (best.degradation, best.differing) == ("Pillow's Lanczos", 0)


def test_jpeg_compression_is_recognised_with_its_quality(photographs: dict[str, np.ndarray]) -> None:
    hr = photographs["chelsea"][:240, :360]
    file = io.BytesIO()
    Image.fromarray(imresize(hr, Fraction(1, 2))).save(file, "JPEG", quality=70)
    best = rank_degradations(hr, np.asarray(Image.open(file)), 2)[0]
    assert best.degradation == "imresize-symmetric, then JPEG of about quality 70"
    assert best.psnr == math.inf


def test_the_border_mode_is_recognised() -> None:
    hr = np.random.default_rng(0).integers(0, 256, (48, 60, 3), np.uint8)
    for border in ("symmetric", "replicate"):
        best, other = fit_imresize(hr, imresize(hr, Fraction(1, 2), border), 2)
        assert best.degradation == f"imresize-{border}"
        assert best.differing == 0
        assert 0 < other.differing <= 2 * (24 + 30)  # only the outermost pixels differ


def test_no_border_mode_is_named_if_both_give_the_same_image() -> None:
    hr = np.full((24, 24, 3), 9, np.uint8)
    assert [fit.degradation for fit in fit_imresize(hr, imresize(hr, Fraction(1, 2)), 2)] == ["imresize"]


def test_compare_counts_differing_pixels_rather_than_values() -> None:
    a = np.zeros((4, 5, 3), np.uint8)
    b = a.copy()
    b[1, 2] = (3, 4, 0)
    fit = compare("area", a, b)
    assert (fit.differing, fit.pixels, fit.largest) == (1, 20, 4)
    assert fit.psnr == pytest.approx(10 * math.log10(255**2 / (25 / 60)))
