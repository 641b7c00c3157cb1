"""Impulse responses: the kernels of each phase, against the operator and against the oracle's measurement."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.convert_parameters import parameters_to_vector

from upnet.models import EncoderDecoder
from upnet.study.diagnostics.impulse import RADIUS, ImpulseResponse
from upnet.study.oracle.structures import measure_response
from upnet.upsample import BedOfNails, Bicubic, Bilinear, Nearest, PixelShuffle, ResizeConv, Transposed, Upsampler

Network = Callable[..., EncoderDecoder]

LINEAR = [
    partial(BedOfNails, scale=3),
    partial(Bilinear, scale=3),
    partial(Transposed, scale=2, kernel_size=5),
    partial(PixelShuffle, scale=2, kernel_size=9),
    partial(PixelShuffle, scale=3, init="plain"),
    partial(ResizeConv, scale=4, fixed=Bicubic),
]


@pytest.mark.parametrize("make", LINEAR, ids=str)
def test_kernels_reproduce_the_output_of_the_operator(make: Callable[..., Upsampler]) -> None:
    torch.manual_seed(0)
    operator = make(channels=1).double()
    scale = int(operator.scale)
    x = torch.rand(1, 1, 14, 15, dtype=torch.float64)
    kernels = ImpulseResponse().compute_for_operator(operator)
    output = operator.upsample_full(x) - operator.upsample_full(torch.zeros_like(x))  # without the bias
    side = 2 * RADIUS + 1
    phases = F.conv2d(x, kernels.view(scale**2, 1, side, side))
    edge = scale * RADIUS
    torch.testing.assert_close(F.pixel_shuffle(phases, scale), output[..., edge:-edge, edge:-edge], rtol=0, atol=1e-12)


def test_kernels_equal_those_measured_by_the_oracle() -> None:
    torch.manual_seed(0)
    operator = Transposed(1, 3, kernel_size=7).double()
    with torch.no_grad():
        expected = measure_response(operator, RADIUS).kernels(parameters_to_vector(operator.parameters()))
    found = ImpulseResponse().compute_for_operator(operator)
    torch.testing.assert_close(found.reshape(expected.shape), expected, rtol=0, atol=1e-12)


def test_bicubic_has_the_published_taps() -> None:
    kernels = ImpulseResponse().compute_for_operator(Bicubic(1, 2, a=-0.5))
    taps = torch.zeros(9, dtype=torch.float64)
    taps[2:6] = torch.tensor([-0.0234375, 0.2265625, 0.8671875, -0.0703125])
    torch.testing.assert_close(kernels[0, 0], torch.outer(taps, taps), rtol=0, atol=1e-12)
    torch.testing.assert_close(kernels[1, 1], torch.outer(taps, taps).flip(0, 1), rtol=0, atol=1e-12)


def test_kernels_of_nearest_sum_to_1_in_each_phase() -> None:
    sums = ImpulseResponse().compute_for_operator(Nearest(1, 4)).sum((2, 3))
    torch.testing.assert_close(sums, torch.ones(4, 4, dtype=torch.float64))


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic_network_has_the_kernels_of_bicubic(bicubic: Network, channels: int) -> None:
    net = bicubic(f"model.channels={channels}")
    assert isinstance(net.residual_interpolation, Bicubic)
    expected = ImpulseResponse().compute_for_operator(Bicubic(1, 2, a=net.residual_interpolation.a))
    torch.testing.assert_close(ImpulseResponse().compute_for_network(net), expected, rtol=0, atol=1e-6)
