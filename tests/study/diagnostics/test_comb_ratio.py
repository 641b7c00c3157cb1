"""Lines at the harmonics of the output grid, of a known height."""

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
def test_a_line_stands_out_by_its_power_in_a_block(scale: int, lines: int, height: float) -> None:
    """A cosine of period s is one line at s = 2, and two of a quarter of the power beyond."""
    grey = torch.full((1, 120, 120), 0.5, dtype=torch.float64)
    amplitude = 0.01
    output = grey + amplitude * torch.cos(2 * math.pi / scale * torch.arange(120))
    # Of a Hann window the squared sum is 4/9 of the sum of squares times the number of values, in both axes.
    power = height * amplitude**2 * SIDE**2 * 4 / 9
    expected = lines * 10 * math.log10(1 + power / QUANTUM) / (scale**2 - 1)
    assert comb(output, grey, scale) == pytest.approx(expected, rel=1e-6)


def test_a_picture_has_no_more_of_a_comb_than_itself(noise: Tensor) -> None:
    assert comb(noise, noise, 2) == 0


def test_the_hr_pictures_own_comb_is_taken_off(noise: Tensor) -> None:
    striped = noise + 0.1 * torch.cos(math.pi * torch.arange(noise.shape[2]))
    assert comb(striped, noise, 2) == pytest.approx(-comb(noise, striped, 2))
    assert comb(striped, noise, 2) > 3


@pytest.mark.parametrize("scale", [2, 3])
def test_a_bed_of_nails_has_its_mean_at_every_multiple_of_n_over_s(noise: Tensor, scale: int) -> None:
    nails = torch.zeros_like(noise)
    nails[:, ::scale, ::scale] = noise[:, ::scale, ::scale]
    # A line of (mean / s²)² beside noise of (standard deviation / s)².
    expected = 10 * math.log10(1 + (0.5 / scale**2) ** 2 * SIDE**2 * (4 / 9) / (0.1 / scale) ** 2)
    assert comb(nails, noise, scale) == pytest.approx(expected, abs=1.5)


def test_a_box_of_width_s_leaves_a_gap_there(noise: Tensor) -> None:
    boxes = noise[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert comb(boxes, noise, 2) < -10


def test_a_comb_is_seen_in_colour_as_in_luma(noise: Tensor) -> None:
    striped = noise + 0.1 * torch.cos(math.pi * torch.arange(noise.shape[2]))
    # Of grey RGB, Y is 219/255 of the plane: 1.3 dB nearer to the rounding's floor, which is far below.
    assert comb(striped.expand(3, -1, -1), noise.expand(3, -1, -1), 2) == pytest.approx(
        comb(striped, noise, 2), abs=0.01
    )


def test_a_picture_too_small_for_a_spectrum_is_refused() -> None:
    small = F.pad(torch.ones(1, 8, 8), (4,) * 4)
    with pytest.raises(ValueError, match=r"than 8×8 pixels after cropping.*24 pixels or more on each side"):
        comb(small, small, 4)
