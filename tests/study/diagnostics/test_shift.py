"""Pictures that move."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from upnet.evaluation.scoring import baseline_method
from upnet.models import EncoderDecoder
from upnet.study.diagnostics import UpscalingMethod
from upnet.study.diagnostics.shift import ShiftFraction, ShiftWhole
from upnet.upsample import BedOfNails, Bicubic, Transposed

Network = Callable[..., EncoderDecoder]


@pytest.fixture
def lr() -> Tensor:
    """(3, 40, 44) in [0, 1]."""
    return torch.rand(3, 40, 44, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def hr() -> Tensor:
    """(3, 80, 88) in [0, 1]."""
    return torch.rand(3, 80, 88, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", [Bicubic, BedOfNails, Transposed])
def test_an_operator_commutes_with_whole_moves_to_the_last_bits(make: type, noise: Tensor) -> None:
    method = UpscalingMethod.from_operator(make(1, 3).double())
    assert ShiftWhole().compute_for_method(method, noise, noise[:, :50, :60]) > 280


def test_a_network_that_is_bicubic_commutes_with_whole_moves(bicubic: Network, lr: Tensor, hr: Tensor) -> None:
    assert ShiftWhole().compute_for_network(bicubic(), hr, lr) > 120


def test_a_network_on_the_lr_grid_does_too_and_one_that_pools_does_not(
    network: Network, lr: Tensor, hr: Tensor
) -> None:
    assert (
        ShiftWhole().compute_for_network(network("model=edsr", "model.encoder.width=4", "model.block.blocks=1"), hr, lr)
        > 120
    )
    assert ShiftWhole().compute_for_network(network("model.encoder.width=4"), hr, lr) < 100


def test_what_sticks_to_the_frame_is_told_in_decibels(lr: Tensor, hr: Tensor) -> None:
    def stuck(picture: Tensor) -> Tensor:
        """A ramp of 1/1000 per output pixel, wherever the picture is."""
        output = baseline_method("nearest", 2)(picture)
        return output + torch.arange(output.shape[2]) / 1000

    found = ShiftWhole().compute_for_method(UpscalingMethod(stuck, 2, radius=0), hr[:1], lr[:1])
    assert found == pytest.approx(-20 * math.log10(0.002), abs=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_copied_pixels_jump_by_s_where_the_picture_moves_by_one(scale: int) -> None:
    """A cosine along the columns; the reduction is written out, and so is what nearest makes of it."""
    step = 2 * math.pi / 24
    columns = torch.arange(24 * 20, dtype=torch.float64)
    hr = (0.5 + 0.4 * torch.cos(step * columns)).expand(1, 120, -1)

    def keys(t: Tensor) -> Tensor:
        t = t.abs()
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))

    distances = torch.arange(-4 * scale, 4 * scale, dtype=torch.float64) + (0.5 if scale % 2 == 0 else 0.0)
    weights = keys(distances / scale)
    amplitude = 0.4 * float((weights * torch.cos(step * distances)).sum() / weights.sum())

    def enlarged(o: Tensor, moved: int) -> Tensor:
        return amplitude * torch.cos(step * (scale * (o // scale) + (scale - 1) / 2 + moved))

    error = (enlarged(columns, 1) - enlarged(columns + 1, 0)).square().mean()
    found = ShiftFraction().compute_for_method(
        UpscalingMethod(baseline_method("nearest", scale), scale, radius=1), hr, hr
    )
    assert found == pytest.approx(-10 * math.log10(float(error)), abs=0.1)


def test_a_smoother_kernel_shimmers_less(noise: Tensor) -> None:
    smooth = torch.nn.functional.avg_pool2d(noise, 5, stride=1)[:, :180, :200]
    told = [
        ShiftFraction().compute_for_method(UpscalingMethod(baseline_method(name, 2), 2), smooth, smooth)
        for name in ("nearest", "bilinear", "bicubic")
    ]
    assert told[0] + 10 < told[1]
    assert told[0] + 10 < told[2]


def test_uint8_and_its_values_give_the_same(bicubic: Network) -> None:
    hr = torch.randint(0, 256, (3, 80, 88), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    first, second = (ShiftFraction().compute_for_network(bicubic(), target, target) for target in (hr, hr / 255))
    assert first == pytest.approx(second, abs=1e-3)
