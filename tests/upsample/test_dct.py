"""Zero padding of the spectrum against SciPy's transforms."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import fft

from upnet.upsample import DCT


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(8, 8), (7, 12), (1, 5), (1, 1), (31, 2)], ids=str)
def test_equals_zero_padding_of_the_dct_spectrum(scale, size):
    x = np.random.default_rng(0).standard_normal((2, *size))
    spectrum = np.zeros((2, scale * size[0], scale * size[1]))
    spectrum[:, : size[0], : size[1]] = np.asarray(fft.dctn(x, axes=(1, 2), norm="ortho"))
    expected = scale * np.asarray(fft.idctn(spectrum, axes=(1, 2), norm="ortho"))
    out = DCT(2, scale).upsample_full(torch.from_numpy(x)[None])[0]
    np.testing.assert_allclose(out.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 1.5])
def test_equals_band_limited_interpolation_of_the_mirrored_image(scale):
    """Through the DFT of the symmetric extension: its cosines, evaluated between the pixels."""
    length = 9
    x = np.random.default_rng(1).standard_normal(length)
    transform = np.fft.fft(np.concatenate((x, x[::-1])))
    frequencies = np.fft.fftfreq(2 * length) * 2 * length
    places = (np.arange(math.floor(scale * length)) + 0.5) / scale - 0.5
    waves = np.exp(2j * np.pi * np.outer(places, frequencies) / (2 * length))
    waves[:, length] = 0  # the symmetric extension has nothing at its Nyquist frequency
    expected = (waves @ transform).real / (2 * length)
    out = DCT(1, scale).matrix(length).numpy() @ x
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 1.5])
def test_all_representable_cosines_are_interpolated_exactly(scale):
    length, grown = 8, math.floor(scale * 8)
    frequencies = torch.arange(length, dtype=torch.float64)
    coarse = torch.cos(math.pi / length * torch.outer(frequencies + 0.5, frequencies))
    places = (torch.arange(grown, dtype=torch.float64) + 0.5) / scale
    fine = torch.cos(math.pi / length * torch.outer(places, frequencies))
    torch.testing.assert_close(DCT(1, scale).matrix(length) @ coarse, fine, rtol=0, atol=1e-12)


def test_sums_are_float32_under_autocast():
    x = torch.randn(1, 2, 40, 30)
    with torch.autocast("cpu", torch.bfloat16):
        out = DCT(2, 2).upsample_full(x)
    assert torch.equal(out, DCT(2, 2).upsample_full(x))


def test_matrices_are_cached_per_size_and_not_copied(monkeypatch):
    lengths: list[int] = []
    original = DCT.matrix
    monkeypatch.setattr(
        DCT, "matrix", lambda self, length, device=None: lengths.append(length) or original(self, length, device)
    )
    operator, x = DCT(1, 2), torch.randn(1, 1, 6, 7)
    first = operator.upsample_full(x)
    assert torch.equal(operator.upsample_full(x), first)
    assert sorted(lengths) == [6, 7]
    assert torch.equal(copy.deepcopy(operator).upsample_full(x), first)
    assert sorted(lengths) == [6, 6, 7, 7]
    for length in range(8, 20):
        operator.upsample_full(torch.randn(1, 1, length, length))
    assert len(operator._matrices._values) == 4
