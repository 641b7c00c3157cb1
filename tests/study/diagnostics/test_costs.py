"""What a network costs."""

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


def written_by_layers(net: EncoderDecoder, lr: Tensor) -> int:
    """What its convolution layers put out, counted while they do."""
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
def test_activations_are_what_the_layers_put_out(network: Network, overrides: tuple[str, ...]) -> None:
    net = network(*overrides)
    found = Activations().compute_for_network(net, SIZE)
    assert found == written_by_layers(net, torch.rand(1, net.channels, SIZE[0] // 2, SIZE[1] // 2))


def test_a_pixel_shuffle_writes_one_hr_map_per_channel_and_an_interpolation_none(network: Network) -> None:
    told = {
        name: Activations().compute_for_network(network(*EDSR, f"model/upsampler={name}"), SIZE)
        for name in ("nearest", "bicubic", "pixel_shuffle", "transposed")
    }
    assert told["bicubic"] == told["nearest"]
    assert told["pixel_shuffle"] - told["nearest"] == told["transposed"] - told["nearest"] == 4 * math.prod(SIZE)


def test_parameters_and_multiply_adds_are_the_studys_own(network: Network) -> None:
    net = network(*EDSR)
    assert Parameters().compute_for_network(net) == sum(parameter.numel() for parameter in net.parameters())
    assert MultiplyAdds().compute_for_network(net, SIZE) == multiply_adds(net, SIZE)


def test_latency_is_the_median_after_two_passes_to_warm_up(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([9.0, 9.0, 4.0, 1.0, 6.0, 99.0])
    shapes: list[tuple[int, ...]] = []

    def seconds(net: EncoderDecoder, lr: Tensor) -> float:
        shapes.append(tuple(lr.shape))
        return next(times)

    monkeypatch.setattr(latency, "_seconds", seconds)
    assert Latency().compute_for_network(network(*EDSR), SIZE) == 4000  # three passes, which took more than ten seconds
    assert shapes == [(3, 24, 32)] * 5


def test_a_pass_takes_time(network: Network) -> None:
    start = latency.time.perf_counter()
    found = Latency().compute_for_network(network(*EDSR), (16, 16))
    assert 0 < found < 1000 * (latency.time.perf_counter() - start)


def test_peak_memory_of_a_chain_is_what_lives_at_its_widest_place(network: Network) -> None:
    """SRCNN: input, output and interpolation are small; the widest layers hold their input and their output."""
    net = network("model=srcnn")
    widths = [module.out_channels for module in net.modules() if isinstance(module, nn.Conv2d)]
    alive = max(first + second for first, second in pairwise(widths))
    pixels = 4 * math.prod(SIZE) / 2**20
    found = PeakMemory().compute_for_network(net, SIZE)
    assert found >= alive * pixels
    # A convolution lays both of them out anew, in blocks of 16 channels, beside three pictures of three channels.
    assert found <= (alive + 2 * 16 * (1 + max(widths) // 16 * 2) + 12) * pixels


def test_peak_memory_grows_with_the_picture(network: Network) -> None:
    net = network(*EDSR)
    small, large = (PeakMemory().compute_for_network(net, size) for size in (SIZE, (4 * SIZE[0], 4 * SIZE[1])))
    assert large / small == pytest.approx(16, rel=0.05)


def test_what_cannot_be_followed_is_not_a_number(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(net: nn.Module, shape: Any) -> None:
        return None

    monkeypatch.setattr("upnet.study.diagnostics.memory.peak_bytes", unknown)
    assert math.isnan(PeakMemory().compute_for_network(network(*EDSR), SIZE))


@pytest.mark.gpu
def test_on_a_gpu_memory_and_latency_are_measured_there(network: Network) -> None:
    net = network(*EDSR).cuda()
    # Two HR maps of four channels at least, in float32.
    assert PeakMemory().compute_for_network(net, SIZE) > 2 * 4 * 4 * math.prod(SIZE) / 2**20
    assert Latency().compute_for_network(net, SIZE) > 0
