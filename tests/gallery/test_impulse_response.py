import pytest
import torch

from upnet.gallery.figure import IMPULSE_LENGTH, frequency_response, impulse_response, spectrum
from upnet.upsample import BedOfNails, Bicubic, Bilinear, MaxUnpool, Nearest, ResizeConv


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_impulse_response_is_a_column_of_the_operator_matrix(scale):
    operator = Bicubic(1, scale)
    middle = operator.matrix(IMPULSE_LENGTH)[:, IMPULSE_LENGTH // 2]
    torch.testing.assert_close(impulse_response(operator), torch.outer(middle, middle), rtol=1e-13, atol=1e-13)


def test_bias_does_not_affect_the_impulse_response():
    operator = ResizeConv(1, 2).double()
    response = impulse_response(operator)
    assert operator.conv.bias is not None
    with torch.no_grad():
        operator.conv.bias.add_(5)
    torch.testing.assert_close(impulse_response(operator), response, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("operator", [Nearest, Bilinear, Bicubic])
def test_interpolation_keeps_zero_frequency_and_removes_multiples_of_one_over_s(operator, scale):
    levels = frequency_response(impulse_response(operator(1, scale)))
    middle, step = len(levels) // 2, len(levels) // scale
    lattice = levels[middle % step :: step, middle % step :: step]
    assert levels[middle, middle] == 0
    assert (lattice > -150).sum() == 1


def test_operators_that_insert_zeros_pass_every_frequency():
    for operator in (BedOfNails(1, 2), MaxUnpool(1, 2)):
        assert frequency_response(impulse_response(operator)).abs().max() < 1e-9


def test_spectrum_of_a_wave_peaks_at_its_frequency():
    wave = torch.cos(2 * torch.pi * 8 * torch.arange(64, dtype=torch.float64) / 64)
    levels = spectrum(wave.expand(3, 64, 64))
    strongest = (levels == 0).nonzero().tolist()
    assert levels.shape == (64, 64)
    assert [32, 32 - 8] in strongest or [32, 32 + 8] in strongest
    assert levels[:16].max() < -40
