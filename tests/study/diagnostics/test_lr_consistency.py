"""LR consistency: the PSNR of the downscaled output against the LR image."""

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
def test_hr_image_is_consistent_with_its_downscaled_image(noise: Tensor, scale: int) -> None:
    lr: Tensor = imresize(noise, Fraction(1, scale))
    assert consistency(noise, lr, scale) > 250


@pytest.mark.parametrize("scale", [2, 3])
def test_constant_offset_gives_its_psnr(noise: Tensor, scale: int) -> None:
    lr: Tensor = imresize(noise, Fraction(1, scale))
    assert consistency(noise + 0.01, lr, scale) == pytest.approx(40, abs=1e-6)


def test_rounding_lr_to_8_bits_limits_consistency_to_64_decibels() -> None:
    generator = torch.Generator().manual_seed(0)
    hr = torch.randint(60, 200, (3, 128, 128), generator=generator, dtype=torch.uint8)
    lr: Tensor = imresize(hr, Fraction(1, 2))
    # Rounding errors of R, G and B are independent, with a variance of 1/12 each; two roundings double them.
    weights = (65.481, 128.553, 24.966)
    one_rounding = 10 * math.log10(12 * 255**2 * 255**2 / sum(weight**2 for weight in weights))
    assert one_rounding == pytest.approx(63.8, abs=0.1)
    assert one_rounding - 3 < consistency(hr, lr, 2) < one_rounding


@pytest.mark.parametrize("border", ["symmetric", "replicate"])
def test_border_mode_does_not_affect_consistency(noise: Tensor, border: str) -> None:
    lr: Tensor = imresize(noise, Fraction(1, 2), "replicate" if border == "replicate" else "symmetric")
    assert consistency(noise, lr, 2) > 250


def test_images_of_mismatched_sizes_are_rejected(noise: Tensor) -> None:
    with pytest.raises(ValueError, match=r"2 times as large as LR, and LR larger than 4 pixels"):
        consistency(noise, noise, 2)
