"""Shift diagnostics: the equivariance error of a method under shifts of its input."""

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
def test_operator_commutes_with_integer_shifts(make: type, noise: Tensor) -> None:
    method = UpscalingMethod.from_operator(make(1, 3).double())
    assert ShiftWhole().compute_for_method(method, noise, noise[:, :50, :60]) > 280


def test_bicubic_network_commutes_with_integer_shifts(bicubic: Network, lr: Tensor, hr: Tensor) -> None:
    assert ShiftWhole().compute_for_network(bicubic(), hr, lr) > 120


def test_network_without_pooling_commutes_with_integer_shifts_and_one_with_pooling_does_not(
    network: Network, lr: Tensor, hr: Tensor
) -> None:
    assert (
        ShiftWhole().compute_for_network(network("model=edsr", "model.encoder.width=4", "model.block.blocks=1"), hr, lr)
        > 120
    )
    assert ShiftWhole().compute_for_network(network("model.encoder.width=4"), hr, lr) < 100


def test_pattern_fixed_to_the_frame_is_measured_in_decibels(lr: Tensor, hr: Tensor) -> None:
    def add_ramp(image: Tensor) -> Tensor:
        """Nearest, plus a ramp of 1/1000 per output pixel that does not move with the image."""
        output = baseline_method("nearest", 2)(image)
        return output + torch.arange(output.shape[2]) / 1000

    found = ShiftWhole().compute_for_method(UpscalingMethod(add_ramp, 2, radius=0), hr[:1], lr[:1])
    assert found == pytest.approx(-20 * math.log10(0.002), abs=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fractional_shift_error_of_nearest_equals_its_closed_form(scale: int) -> None:
    """The image is a cosine along the columns; its bicubic reduction and nearest enlargement have a closed form."""
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

    def enlarged(o: Tensor, shift: int) -> Tensor:
        return amplitude * torch.cos(step * (scale * (o // scale) + (scale - 1) / 2 + shift))

    error = (enlarged(columns, 1) - enlarged(columns + 1, 0)).square().mean()
    found = ShiftFraction().compute_for_method(
        UpscalingMethod(baseline_method("nearest", scale), scale, radius=1), hr, hr
    )
    assert found == pytest.approx(-10 * math.log10(float(error)), abs=0.1)


def test_smoother_kernel_has_a_smaller_shift_error(noise: Tensor) -> None:
    smooth = torch.nn.functional.avg_pool2d(noise, 5, stride=1)[:, :180, :200]
    values = [
        ShiftFraction().compute_for_method(UpscalingMethod(baseline_method(name, 2), 2), smooth, smooth)
        for name in ("nearest", "bilinear", "bicubic")
    ]
    assert values[0] + 10 < values[1]
    assert values[0] + 10 < values[2]


def test_uint8_and_float_images_give_equal_values(bicubic: Network) -> None:
    hr = torch.randint(0, 256, (3, 80, 88), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    first, second = (ShiftFraction().compute_for_network(bicubic(), target, target) for target in (hr, hr / 255))
    assert first == pytest.approx(second, abs=1e-3)
