"""Comb ratio: spectral lines of known height at the harmonics of the output grid."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.study.diagnostics.comb_ratio import CombRatio
from upnet.study.diagnostics.power_spectrum import QUANTUM, SIDE


def comb(output: Tensor, target: Tensor, scale: int) -> float:
    return CombRatio().compute_for_image(output, target, target[:, ::scale, ::scale], scale)


@pytest.mark.parametrize(("scale", "lines", "height"), [(2, 1, 1.0), (3, 2, 0.25), (4, 2, 0.25)])
def test_comb_ratio_of_a_cosine_is_its_power_over_the_rounding_noise(scale: int, lines: int, height: float) -> None:
    """A cosine of period s is one line at s = 2, and two lines of a quarter of the power at larger s."""
    grey = torch.full((1, 120, 120), 0.5, dtype=torch.float64)
    amplitude = 0.01
    output = grey + amplitude * torch.cos(2 * math.pi / scale * torch.arange(120))
    # The squared sum of a Hann window is 4/9 of its sum of squares times its length, over both axes.
    power = height * amplitude**2 * SIDE**2 * 4 / 9
    expected = lines * 10 * math.log10(1 + power / QUANTUM) / (scale**2 - 1)
    assert comb(output, grey, scale) == pytest.approx(expected, rel=1e-6)


def test_comb_ratio_of_equal_images_is_zero(noise: Tensor) -> None:
    assert comb(noise, noise, 2) == 0


def test_comb_of_the_hr_image_is_subtracted(noise: Tensor) -> None:
    striped = noise + 0.1 * torch.cos(math.pi * torch.arange(noise.shape[2]))
    assert comb(striped, noise, 2) == pytest.approx(-comb(noise, striped, 2))
    assert comb(striped, noise, 2) > 3


@pytest.mark.parametrize("scale", [2, 3])
def test_comb_ratio_of_a_bed_of_nails_is_its_mean_over_the_noise(noise: Tensor, scale: int) -> None:
    nails = torch.zeros_like(noise)
    nails[:, ::scale, ::scale] = noise[:, ::scale, ::scale]
    # A line with the power (mean / s²)² above noise with the power (standard deviation / s)².
    expected = 10 * math.log10(1 + (0.5 / scale**2) ** 2 * SIDE**2 * (4 / 9) / (0.1 / scale) ** 2)
    assert comb(nails, noise, scale) == pytest.approx(expected, abs=1.5)


def test_box_filtered_output_has_a_negative_comb_ratio(noise: Tensor) -> None:
    boxes = noise[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert comb(boxes, noise, 2) < -10


def test_comb_ratio_of_rgb_equals_that_of_its_luma(noise: Tensor) -> None:
    striped = noise + 0.1 * torch.cos(math.pi * torch.arange(noise.shape[2]))
    # Y of grey RGB is 219/255 of the plane: 1.3 dB nearer to the rounding noise, which is much lower.
    assert comb(striped.expand(3, -1, -1), noise.expand(3, -1, -1), 2) == pytest.approx(
        comb(striped, noise, 2), abs=0.01
    )


def test_image_too_small_for_a_spectrum_is_rejected() -> None:
    small = F.pad(torch.ones(1, 8, 8), (4,) * 4)
    with pytest.raises(ValueError, match=r"than 8×8 pixels after cropping.*24 pixels or more on each side"):
        comb(small, small, 4)
