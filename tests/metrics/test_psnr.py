import math

import numpy as np
import pytest
import torch

from upnet.metrics import psnr


@pytest.mark.parametrize("shape", [(1, 7, 9), (3, 20, 31)])
def test_psnr_equals_its_formula_in_float64(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random(shape) * 255, rng.random(shape) * 255
    expected = 10 * math.log10(255.0**2 / np.mean((x - y) ** 2))
    assert psnr(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, abs=1e-10)


def test_error_of_one_level_has_a_psnr_of_48_decibels() -> None:
    image = torch.randint(0, 255, (3, 8, 8), dtype=torch.uint8)
    assert psnr(image + 1, image) == pytest.approx(20 * math.log10(255), abs=1e-12)


def test_squared_errors_are_averaged_over_channels_before_the_logarithm() -> None:
    target = torch.zeros(3, 4, 4, dtype=torch.float64)
    output = torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)[:, None, None].expand(3, 4, 4)
    assert psnr(output, target) == pytest.approx(10 * math.log10(255**2 / 3), abs=1e-12)


def test_identical_images_have_infinite_psnr() -> None:
    image = torch.rand(3, 5, 5)
    assert psnr(image, image.clone()) == math.inf


def test_psnr_depends_on_the_ratio_of_peak_and_range() -> None:
    x, y = torch.rand(1, 9, 9, dtype=torch.float64), torch.rand(1, 9, 9, dtype=torch.float64)
    assert psnr(x, y, peak=1.0) == pytest.approx(psnr(255 * x, 255 * y), abs=1e-10)


def test_float32_images_are_evaluated_in_float64() -> None:
    x = torch.full((1, 64, 64), 200.0)
    y = x + 2.0**-10
    assert psnr(x, y) == pytest.approx(20 * math.log10(255 * 2**10), abs=1e-9)


def test_images_of_different_or_zero_size_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"got \(3, 4, 4\) and \(1, 4, 4\)"):
        psnr(torch.zeros(3, 4, 4), torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="not be empty"):
        psnr(torch.zeros(3, 0, 4), torch.zeros(3, 0, 4))
