"""Costs of a network: activations, parameters, multiply-adds, latency and peak memory."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from upnet.models import EncoderDecoder
from upnet.models.complexity import multiply_adds
from upnet.study.diagnostics import latency
from upnet.study.diagnostics.activations import Activations
from upnet.study.diagnostics.latency import Latency
from upnet.study.diagnostics.memory import PeakMemory
from upnet.study.diagnostics.multiply_adds import MultiplyAdds
from upnet.study.diagnostics.parameters import Parameters

Network = Callable[..., EncoderDecoder]

SIZE = (48, 64)
EDSR = ("model=edsr", "model.encoder.width=4", "model.block.blocks=1")


def convolution_outputs(net: EncoderDecoder, lr: Tensor) -> int:
    """The number of values that the convolution layers of a network output, counted by hooks."""
    sizes: list[int] = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda layer, inputs, output: sizes.append(output.numel()))
    net(lr)
    return sum(sizes)


@pytest.mark.parametrize(
    "overrides",
    [("model=srcnn",), (*EDSR, "model/upsampler=resize_conv"), ("model.encoder.width=4", "model/upsampler=nearest")],
)
def test_activations_are_the_outputs_of_the_convolution_layers(network: Network, overrides: tuple[str, ...]) -> None:
    net = network(*overrides)
    found = Activations().compute_for_network(net, SIZE)
    assert found == convolution_outputs(net, torch.rand(1, net.channels, SIZE[0] // 2, SIZE[1] // 2))


def test_pixel_shuffle_adds_one_hr_map_per_channel_and_interpolations_add_none(network: Network) -> None:
    counts = {
        name: Activations().compute_for_network(network(*EDSR, f"model/upsampler={name}"), SIZE)
        for name in ("nearest", "bicubic", "pixel_shuffle", "transposed")
    }
    assert counts["bicubic"] == counts["nearest"]
    assert (
        counts["pixel_shuffle"] - counts["nearest"] == counts["transposed"] - counts["nearest"] == 4 * math.prod(SIZE)
    )


def test_parameters_and_multiply_adds_equal_those_of_the_study(network: Network) -> None:
    net = network(*EDSR)
    assert Parameters().compute_for_network(net) == sum(parameter.numel() for parameter in net.parameters())
    assert MultiplyAdds().compute_for_network(net, SIZE) == multiply_adds(net, SIZE)


def test_latency_is_the_median_after_two_warmup_passes(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([9.0, 9.0, 4.0, 1.0, 6.0, 99.0])
    shapes: list[tuple[int, ...]] = []

    def seconds(net: EncoderDecoder, lr: Tensor) -> float:
        shapes.append(tuple(lr.shape))
        return next(times)

    monkeypatch.setattr(latency, "_seconds", seconds)
    assert Latency().compute_for_network(network(*EDSR), SIZE) == 4000  # three passes take more than ten seconds
    assert shapes == [(3, 24, 32)] * 5


def test_latency_is_positive_and_below_the_elapsed_time(network: Network) -> None:
    start = latency.time.perf_counter()
    found = Latency().compute_for_network(network(*EDSR), (16, 16))
    assert 0 < found < 1000 * (latency.time.perf_counter() - start)


def test_peak_memory_of_a_chain_is_that_of_its_widest_layers(network: Network) -> None:
    """SRCNN: input, output and interpolation are small; the widest layers hold their input and their output."""
    net = network("model=srcnn")
    widths = [module.out_channels for module in net.modules() if isinstance(module, nn.Conv2d)]
    alive = max(first + second for first, second in pairwise(widths))
    pixels = 4 * math.prod(SIZE) / 2**20
    found = PeakMemory().compute_for_network(net, SIZE)
    assert found >= alive * pixels
    # A convolution copies both in blocks of 16 channels; three images of three channels are also in memory.
    assert found <= (alive + 2 * 16 * (1 + max(widths) // 16 * 2) + 12) * pixels


def test_peak_memory_is_proportional_to_the_image_size(network: Network) -> None:
    net = network(*EDSR)
    small, large = (PeakMemory().compute_for_network(net, size) for size in (SIZE, (4 * SIZE[0], 4 * SIZE[1])))
    assert large / small == pytest.approx(16, rel=0.05)


def test_peak_memory_is_nan_if_it_cannot_be_measured(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(net: nn.Module, shape: Any) -> None:
        return None

    monkeypatch.setattr("upnet.study.diagnostics.memory.peak_bytes", unknown)
    assert math.isnan(PeakMemory().compute_for_network(network(*EDSR), SIZE))


@pytest.mark.gpu
def test_memory_and_latency_of_a_gpu_network_are_measured_on_the_gpu(network: Network) -> None:
    net = network(*EDSR).cuda()
    # At least two HR maps of four channels, in float32.
    assert PeakMemory().compute_for_network(net, SIZE) > 2 * 4 * 4 * math.prod(SIZE) / 2**20
    assert Latency().compute_for_network(net, SIZE) > 0
