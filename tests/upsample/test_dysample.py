"""DySample against a computation value by value, in NumPy, and against torch's own sampler."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.upsample import Bilinear, DySample

SETTINGS = [{}, {"style": "pl"}, {"dyscope": True}, {"style": "pl", "dyscope": True}, {"groups": 2}, {"groups": 1}]


@pytest.fixture(params=[False, True], ids=["crop_sampler", "table"])
def either_way(request, deterministic):
    """By torch's sampler, and by the table that deterministic mode takes."""
    torch.use_deterministic_algorithms(request.param)


def wandering(operator: DySample, spread: float = 2.0) -> DySample:
    """With some positions outside the image."""
    torch.manual_seed(0)
    for parameter in operator.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return operator.double()


def one_by_one(x: np.ndarray, conv: torch.nn.Conv2d) -> np.ndarray:
    assert conv.bias is not None
    weight, bias = conv.weight.detach().numpy()[:, :, 0, 0], conv.bias.detach().numpy()
    return np.tensordot(weight, x, axes=1) + bias[:, None, None]


def pixel_shuffle(x: np.ndarray, s: int) -> np.ndarray:
    """(C·s², h, w) -> (C, s·h, s·w), written out."""
    out = np.empty((len(x) // s**2, s * x.shape[1], s * x.shape[2]))
    for c, row, col in np.ndindex(out.shape):
        out[c, row, col] = x[c * s * s + (row % s) * s + col % s, row // s, col // s]
    return out


def straightforward(x: np.ndarray, operator: DySample) -> np.ndarray:
    """(C, h, w) -> (C, s·h, s·w), one output value after the other."""
    s, g = int(operator.scale), operator.groups
    seen = pixel_shuffle(x, s) if operator.style == "pl" else x
    factor = 0.25 if operator.scope is None else 0.5 / (1 + np.exp(-one_by_one(seen, operator.scope)))
    shifts = one_by_one(seen, operator.offset) * factor
    shifts = shifts if operator.style == "pl" else pixel_shuffle(shifts, s)
    out = np.empty((len(x), s * x.shape[1], s * x.shape[2]))
    for c, row, col in np.ndindex(out.shape):
        group = c // (len(x) // g)
        v = min(max((row + 0.5) / s - 0.5 + shifts[group, row, col], 0), x.shape[1] - 1)
        u = min(max((col + 0.5) / s - 0.5 + shifts[g + group, row, col], 0), x.shape[2] - 1)
        n, m = math.floor(v), math.floor(u)
        below, right = min(n + 1, x.shape[1] - 1), min(m + 1, x.shape[2] - 1)
        top = (1 - u + m) * x[c, n, m] + (u - m) * x[c, n, right]
        bottom = (1 - u + m) * x[c, below, m] + (u - m) * x[c, below, right]
        out[c, row, col] = (1 - v + n) * top + (v - n) * bottom
    return out


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_equals_its_definition_value_by_value(scale, settings, either_way):
    operator = wandering(DySample(36, scale, **settings), 0.5)
    x = torch.randn(1, 36, 4, 5, dtype=torch.float64)
    shifts = operator.shifts(x)
    assert shifts.abs().max() > 1  # some are outside the image
    np.testing.assert_allclose(
        operator.upsample_full(x)[0].detach().numpy(), straightforward(x[0].numpy(), operator), rtol=1e-9, atol=1e-11
    )


def by_grid_sample(x: Tensor, operator: DySample) -> Tensor:
    s, g, (n, c, h, w) = int(operator.scale), operator.groups, x.shape
    shifts = operator.shifts(x)
    rows, cols = ((torch.arange(s * length, dtype=x.dtype) + 0.5) / s - 0.5 for length in (h, w))
    v, u = shifts[:, 0] + rows[:, None], shifts[:, 1] + cols
    grid = torch.stack(((2 * u + 1) / w - 1, (2 * v + 1) / h - 1), dim=-1).flatten(0, 1)
    planes = x.reshape(n * g, c // g, h, w)
    return F.grid_sample(planes, grid, "bilinear", "border", align_corners=False).reshape(n, c, s * h, s * w)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_output_and_gradients_equal_grid_sample(settings, either_way):
    operator = wandering(DySample(8, 2, **settings))
    x = torch.randn(2, 8, 6, 5, dtype=torch.float64, requires_grad=True)
    outputs = operator.upsample_full(x), by_grid_sample(x, operator)
    torch.testing.assert_close(*outputs, rtol=1e-11, atol=1e-11)
    target = torch.randn_like(outputs[0])
    gradients = [torch.autograd.grad((out * target).sum(), (x, *operator.parameters())) for out in outputs]
    for mine, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("settings", [{}, {"dyscope": True}, {"style": "pl"}], ids=str)
def test_zero_offsets_give_bilinear_interpolation_also_at_the_borders(scale, settings, either_way):
    channels = scale**2
    x = torch.rand(1, channels, 7, 12)
    operator = DySample(channels, scale, init="bilinear", **settings)
    expected = Bilinear(channels, scale).upsample_full(x.double()).float()
    torch.testing.assert_close(operator.upsample_full(x), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("scale", [2, 3])
def test_sampling_positions_are_precise_for_wide_images(scale, deterministic):
    """Places are counted from the nearest pixel; as parts of the width they would be rounded far more."""
    x = torch.randn(1, 1, 2, 3000)
    expected = Bilinear(1, scale).upsample_full(x.double()).float()
    torch.testing.assert_close(DySample(1, scale, init="bilinear").upsample_full(x), expected, rtol=0, atol=1e-6)


def test_it_starts_close_to_that():
    torch.manual_seed(0)
    operator, x = DySample(64, 2), torch.randn(2, 64, 8, 8)
    assert operator.offset.weight.std().item() == pytest.approx(0.001, rel=0.1)
    assert 0 < (operator.upsample_full(x) - Bilinear(64, 2).upsample_full(x)).abs().max() < 0.1


def test_zero_offsets_receive_gradients():
    operator = DySample(4, 2, init="bilinear")
    operator.upsample_full(torch.randn(1, 4, 5, 5)).square().sum().backward()
    gradient = operator.offset.weight.grad
    assert gradient is not None
    assert gradient.abs().min() > 0


@pytest.mark.parametrize(("channels", "groups", "taken"), [(64, 4, 4), (3, 4, 1), (6, 4, 2), (1, 4, 1), (12, 8, 4)])
def test_groups_are_the_greatest_common_divisor_with_the_channels(channels, groups, taken):
    assert DySample(channels, 2, groups=groups).groups == taken


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 65 * 2 * 4 * 4),
        ({"dyscope": True}, 2 * 65 * 2 * 4 * 4),
        ({"style": "pl"}, 17 * 2 * 4),
        ({"style": "pl", "dyscope": True}, 2 * 17 * 2 * 4),
    ],
    ids=str,
)
def test_parameter_count_equals_the_paper(settings, expected):
    assert sum(p.numel() for p in DySample(64, 2, **settings).parameters()) == expected


def test_multiply_adds_count_every_product_of_the_definition():
    """On 6 × 5 pixels, 64 channels, ×2: the 1×1 convolution where it happens, and four taps for every output value."""
    assert DySample(64, 2).multiply_adds(6, 5) == 30 * (64 * 32 + 4 * 4 * 64)
    assert DySample(64, 2, style="pl").multiply_adds(6, 5) == 30 * (4 * 16 * 8 + 4 * 4 * 64)
    assert DySample(64, 2, 3).multiply_adds(6, 5) == 30 * (64 * 8 + 4 * 4 * 3 + 9 * 64 * 3)


def test_nan_positions_do_not_crash(either_way):
    operator = DySample(2, 2, init="bilinear")
    x = torch.full((1, 2, 3, 3), float("inf"))
    assert operator.upsample_full(x).shape == (1, 2, 6, 6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"style": "pl", "channels": 6}, "channels that scale² = 4 divides; got 6.*Set style=lp"),
        ({"style": "xy"}, "style=xy: .*lp or pl"),
        ({"groups": 0}, "groups=0: .*4 in the paper"),
        ({"init": "icnr"}, "init=icnr: .*plain or bilinear"),
    ],
)
def test_invalid_settings_are_rejected_with_a_cure(settings, words):
    with pytest.raises(ValueError, match=words):
        DySample(**{"channels": 8, "scale": 2, **settings})
