"""Phase bias: the share of an error that depends on the phase of the output grid."""

import pytest
import torch
from torch import Tensor

from upnet.study.diagnostics.phase_bias import PhaseBias


def tiled(pattern: Tensor, like: Tensor) -> Tensor:
    """A pattern (s, s), repeated over an image (1, H, W)."""
    height, width = like.shape[1] // len(pattern), like.shape[2] // len(pattern)
    return pattern.repeat(height, width)[None]


def bias(output: Tensor, target: Tensor, scale: int) -> float:
    return PhaseBias().compute_for_image(output, target, target[:, ::scale, ::scale], scale)


@pytest.mark.parametrize("scale", [2, 3])
def test_bias_of_a_periodic_error_is_its_share_of_variance(noise: Tensor, scale: int) -> None:
    pattern = torch.arange(1.0, scale**2 + 1, dtype=torch.float64).view(scale, scale) / 100
    expected = float(pattern.var(correction=0) / pattern.square().mean())
    assert bias(noise + tiled(pattern, noise), noise, scale) == pytest.approx(expected, rel=1e-9)
    assert bias(noise + tiled(pattern - pattern.mean(), noise), noise, scale) == pytest.approx(1, rel=1e-9)


def test_white_noise_in_the_error_lowers_the_bias(noise: Tensor) -> None:
    pattern = torch.tensor(
        [[0.1, 0.0], [0.0, -0.1]], dtype=torch.float64
    )  # its variance is 0.005, that of the noise 0.01
    target = torch.full_like(noise, 0.5)
    assert bias(noise + tiled(pattern, noise), target, 2) == pytest.approx(0.005 / 0.015, rel=0.05)


def test_errors_independent_of_phase_have_almost_no_bias(noise: Tensor) -> None:
    target = torch.full_like(noise, 0.5)
    assert bias(noise, target, 2) < 10 / noise.numel()
    assert bias(noise + 0.2, noise, 2) < 1e-20
    assert bias(noise, noise, 2) == 0


def test_pattern_in_the_crop_does_not_affect_the_bias(noise: Tensor) -> None:
    output = noise.clone()
    output[:, :2, ::2] += 0.5
    assert bias(output, noise, 2) == 0


def test_images_of_different_sizes_are_rejected(noise: Tensor) -> None:
    with pytest.raises(ValueError, match=r"192×216 and 190×216"):
        bias(noise, noise[:, 2:], 2)
