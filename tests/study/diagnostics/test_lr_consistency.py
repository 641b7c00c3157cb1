"""An output reduced again, beside the LR picture."""

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from upnet.imaging.imresize import imresize
from upnet.study.diagnostics.lr_consistency import LRConsistency


def consistency(output: Tensor, lr: Tensor, scale: int) -> float:
    return LRConsistency().compute_for_image(output, output, lr, scale)


@pytest.mark.parametrize("scale", [2, 3])
def test_the_hr_picture_is_consistent_with_what_is_made_of_it(noise: Tensor, scale: int) -> None:
    lr: Tensor = imresize(noise, Fraction(1, scale))
    assert consistency(noise, lr, scale) > 250


@pytest.mark.parametrize("scale", [2, 3])
def test_an_offset_costs_its_own_decibels(noise: Tensor, scale: int) -> None:
    lr: Tensor = imresize(noise, Fraction(1, scale))
    assert consistency(noise + 0.01, lr, scale) == pytest.approx(40, abs=1e-6)


def test_rounding_lr_to_8_bits_leaves_the_hr_picture_64_decibels() -> None:
    generator = torch.Generator().manual_seed(0)
    hr = torch.randint(60, 200, (3, 128, 128), generator=generator, dtype=torch.uint8)
    lr: Tensor = imresize(hr, Fraction(1, 2))
    # Errors of R, G and B are apart, each of 1/12 of a level squared, and two roundings make two of them.
    weights = (65.481, 128.553, 24.966)
    once = 10 * math.log10(12 * 255**2 * 255**2 / sum(weight**2 for weight in weights))
    assert once == pytest.approx(63.8, abs=0.1)
    assert once - 3 < consistency(hr, lr, 2) < once


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
def test_what_lies_beyond_the_border_makes_no_difference(noise: Tensor, border: str) -> None:
    lr: Tensor = imresize(noise, Fraction(1, 2), "replicate" if border == "replicate" else "symmetric")
    assert consistency(noise, lr, 2) > 250


def test_pictures_that_do_not_fit_are_refused(noise: Tensor) -> None:
    with pytest.raises(ValueError, match=r"2 times as large as LR, and LR larger than 4 pixels"):
        consistency(noise, noise, 2)
