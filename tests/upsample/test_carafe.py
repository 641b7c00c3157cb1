"""CARAFE against a computation pixel by pixel, in NumPy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from upnet.upsample import CARAFE, Nearest

SETTINGS = [{}, {"k_up": 3}, {"k_enc": 1, "k_up": 3}, {"k_enc": 5, "k_up": 1}, {"mid": 2}]


def convolution(x: np.ndarray, conv: torch.nn.Conv2d) -> np.ndarray:
    """(C, h, w) -> (O, h, w), summed as it is written, zeros beyond the border."""
    assert conv.bias is not None
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    half = weight.shape[2] // 2
    framed = np.pad(x, ((0, 0), (half, half), (half, half)))
    out = np.empty((len(weight), *x.shape[1:]))
    for row, col in np.ndindex(x.shape[1:]):
        patch = framed[:, row : row + 2 * half + 1, col : col + 2 * half + 1]
        out[:, row, col] = (weight * patch).sum((1, 2, 3)) + bias
    return out


def straightforward(x: np.ndarray, operator: CARAFE) -> np.ndarray:
    """(C, h, w) -> (C, s·h, s·w), one output pixel after the other."""
    s, k, half = int(operator.scale), operator.k_up, operator.k_up // 2
    encoded = convolution(convolution(x, operator.compress), operator.encode)
    framed = np.pad(x, ((0, 0), (half, half), (half, half)))
    out = np.empty((len(x), s * x.shape[1], s * x.shape[2]))
    for row, col in np.ndindex(out.shape[1:]):
        n, m = row // s, col // s
        # The shuffle's order: channel q of the output grid is made of channels q·s² + phase.
        logits = encoded[(row % s) * s + col % s :: s * s, n, m]
        weights = np.exp(logits - logits.max())
        weights = (weights / weights.sum()).reshape(k, k)
        out[:, row, col] = (framed[:, n : n + k, m : m + k] * weights).sum((1, 2))
    return out


def strong(operator: CARAFE) -> CARAFE:
    """With weights that tell pixels apart, as after training."""
    torch.manual_seed(0)
    for parameter in operator.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return operator.double()


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_equals_its_definition_pixel_by_pixel(scale, settings):
    operator = strong(CARAFE(3, scale, **settings))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    out = operator.upsample_full(x).detach().numpy()
    for number in range(2):
        np.testing.assert_allclose(out[number], straightforward(x[number].numpy(), operator), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_zero_weights_give_a_box_blur_and_nearest(scale):
    operator = CARAFE(4, scale).double()
    torch.nn.init.zeros_(operator.encode.weight)
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    blurred = F.avg_pool2d(x, 5, stride=1, padding=2)  # zeros beyond the border count
    torch.testing.assert_close(
        operator.upsample_full(x), Nearest(4, scale).upsample_full(blurred), rtol=1e-12, atol=1e-12
    )


def test_it_starts_close_to_that():
    torch.manual_seed(0)
    operator, x = CARAFE(16, 2), torch.randn(2, 16, 8, 8)
    blurred = F.avg_pool2d(x, 5, stride=1, padding=2)
    assert (operator.upsample_full(x) - Nearest(16, 2).upsample_full(blurred)).abs().max() < 0.03


def test_kernels_are_predicted_from_the_input_channels():
    operator = strong(CARAFE(6, 2, out_channels=1))
    x = torch.randn(1, 6, 5, 4, dtype=torch.float64)
    keeping = strong(CARAFE(6, 2))
    keeping.compress.load_state_dict(operator.compress.state_dict())
    keeping.encode.load_state_dict(operator.encode.state_dict())
    kernels = keeping.reassembly_kernels(x)
    torch.testing.assert_close(operator.reassembly_kernels(x), kernels, rtol=1e-13, atol=1e-13)
    windows = F.unfold(operator.values(x), 5, padding=2).view(1, 25, 1, 5, 4)
    expected = F.pixel_shuffle((windows * kernels).sum(1), 2)
    torch.testing.assert_close(operator.upsample_full(x), expected, rtol=1e-12, atol=1e-12)


def test_predicted_weights_are_normalised_in_float32_under_autocast():
    operator, x = CARAFE(8, 2), torch.randn(2, 8, 6, 5)
    with torch.autocast("cpu", torch.bfloat16):
        kernels = operator.reassembly_kernels(x)
    assert kernels.dtype == torch.float32
    torch.testing.assert_close(kernels.sum(1), torch.ones(2, 4, 6, 5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 16, 64, 100])
def test_parameter_count_equals_the_paper(channels):
    """C·Cm + Cm and ke²·Cm·s²ku² + s²ku², the biases counted; no more than C channels are compressed to."""
    mid = min(64, channels)
    expected = channels * mid + mid + 9 * mid * 4 * 25 + 4 * 25
    assert sum(p.numel() for p in CARAFE(channels, 2).parameters()) == expected


def test_multiply_adds_count_every_product_of_the_definition():
    """1×1 to mid, 3×3 to s²·25, and 25 for every output value: on 6 × 5 pixels, 8 channels, ×3."""
    assert CARAFE(8, 3, mid=4).multiply_adds(6, 5) == 30 * (8 * 4 + 9 * 4 * 9 * 25 + 25 * 9 * 8)
    assert CARAFE(8, 3, 2, mid=4).multiply_adds(6, 5) == 30 * (8 * 4 + 9 * 4 * 9 * 25 + 25 * 9 * 2 + 9 * 8 * 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"k_up": 4}, "k_up=4: .*odd"), ({"k_enc": 0}, "k_enc=0: .*odd"), ({"mid": 0}, "mid=0: .*64 in the paper")],
)
def test_even_windows_and_zero_channels_are_rejected(settings, words):
    with pytest.raises(ValueError, match=words):
        CARAFE(4, 2, **settings)
