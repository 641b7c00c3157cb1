"""Errors that know the output grid, and errors that don't."""

import pytest
import torch
from torch import Tensor

from upnet.study.diagnostics.phase_bias import PhaseBias


def tiled(pattern: Tensor, like: Tensor) -> Tensor:
    """A pattern (s, s) all over a picture (1, H, W)."""
    height, width = like.shape[1] // len(pattern), like.shape[2] // len(pattern)
    return pattern.repeat(height, width)[None]


def bias(output: Tensor, target: Tensor, scale: int) -> float:
    return PhaseBias().compute_for_image(output, target, target[:, ::scale, ::scale], scale)


@pytest.mark.parametrize("scale", [2, 3])
def test_an_error_that_is_a_pattern_is_biased_by_all_but_its_mean(noise: Tensor, scale: int) -> None:
    pattern = torch.arange(1.0, scale**2 + 1, dtype=torch.float64).view(scale, scale) / 100
    expected = float(pattern.var(correction=0) / pattern.square().mean())
    assert bias(noise + tiled(pattern, noise), noise, scale) == pytest.approx(expected, rel=1e-9)
    assert bias(noise + tiled(pattern - pattern.mean(), noise), noise, scale) == pytest.approx(1, rel=1e-9)


def test_white_errors_beside_a_pattern_dilute_it(noise: Tensor) -> None:
    pattern = torch.tensor([[0.1, 0.0], [0.0, -0.1]], dtype=torch.float64)  # variance 0.005, where noise has 0.01
    target = torch.full_like(noise, 0.5)
    assert bias(noise + tiled(pattern, noise), target, 2) == pytest.approx(0.005 / 0.015, rel=0.05)


def test_errors_that_know_no_phases_have_almost_none(noise: Tensor) -> None:
    target = torch.full_like(noise, 0.5)
    assert bias(noise, target, 2) < 10 / noise.numel()
    assert bias(noise + 0.2, noise, 2) < 1e-20
    assert bias(noise, noise, 2) == 0


def test_a_pattern_within_the_crop_does_not_count(noise: Tensor) -> None:
    output = noise.clone()
    output[:, :2, ::2] += 0.5
    assert bias(output, noise, 2) == 0


def test_pictures_of_two_sizes_are_refused(noise: Tensor) -> None:
    with pytest.raises(ValueError, match=r"192×216 and 190×216"):
        bias(noise, noise[:, 2:], 2)
