"""Spectrum diagnostics: radial spectra with known distances."""

import math

import pytest
import torch
from torch import Tensor

from upnet.study.diagnostics.spectrum import SpectrumAbove, SpectrumBelow, radial_profile


def distances(output: Tensor, target: Tensor, scale: int) -> tuple[float, float]:
    lr = target[:, ::scale, ::scale]
    return (
        SpectrumBelow().compute_for_image(output, target, lr, scale),
        SpectrumAbove().compute_for_image(output, target, lr, scale),
    )


def weakened(plane: Tensor, gain: float, scale: int) -> Tensor:
    """The plane, whose frequencies above the LR Nyquist frequency are multiplied by a gain."""
    spectrum = torch.fft.fft2(plane)
    rows, cols = (torch.fft.fftfreq(length, dtype=torch.float64) for length in plane.shape[1:])
    above = torch.hypot(rows[:, None], cols) > 1 / (2 * scale)
    return torch.fft.ifft2(torch.where(above, gain, 1.0) * spectrum).real


def test_spectrum_of_white_noise_is_its_variance_at_every_frequency(noise: Tensor) -> None:
    frequencies, found = radial_profile(noise[0], 2)
    assert frequencies[[0, -1]].tolist() == pytest.approx([1 / 96, 1 / 2])
    # The lowest ring has eight frequencies; the others have more.
    assert found[4:].numpy() == pytest.approx(0.01, rel=0.25)
    assert float(found[24:].mean()) == pytest.approx(0.01, rel=0.06)


def test_equal_images_have_zero_distance(noise: Tensor) -> None:
    assert distances(noise, noise, 2) == (0, 0)


@pytest.mark.parametrize("scale", [2, 3])
def test_doubled_amplitude_is_a_distance_of_6_decibels(noise: Tensor, scale: int) -> None:
    assert distances(2 * noise, noise, scale) == pytest.approx([20 * math.log10(2)] * 2, abs=0.01)


def test_mirrored_image_has_the_same_spectrum(noise: Tensor) -> None:
    square = noise[:, :192, :192]
    assert distances(square.flip(1), square, 2) == pytest.approx(
        (0, 0), abs=0.05
    )  # only the first value of the window is zero


@pytest.mark.parametrize("scale", [2, 4])
def test_loss_above_the_lr_nyquist_frequency_affects_only_spectrum_above(noise: Tensor, scale: int) -> None:
    below, above = distances(weakened(noise, 0.1, scale), noise, scale)
    assert below < 0.5
    assert above == pytest.approx(20, abs=1)


def test_power_below_8_bit_rounding_noise_is_not_counted(noise: Tensor) -> None:
    """White noise with a variance of 0.01 is 39 dB above the rounding noise."""
    _, above = distances(weakened(noise, 0.0, 2), noise, 2)
    assert above == pytest.approx(10 * math.log10(0.01 * 12 * 255**2), abs=2)
