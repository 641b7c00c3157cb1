import pytest
import torch
import torch.nn.functional as F
from torch import nn

from upnet.upsample import Nearest, PixelShuffle


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_equals_a_convolution_and_torch_pixel_shuffle(scale, kernel_size):
    operator = PixelShuffle(4, scale, out_channels=3, kernel_size=kernel_size).double()
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    expected = nn.PixelShuffle(scale)(F.conv2d(x, operator.conv.weight, operator.conv.bias, padding=kernel_size // 2))
    torch.testing.assert_close(operator.upsample_full(x), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_icnr_starts_as_a_convolution_and_nearest(scale):
    operator = PixelShuffle(4, scale, out_channels=3).double()
    x = torch.randn(2, 4, 5, 7, dtype=torch.float64)
    phases = operator.conv(x)[:, :: scale**2]
    torch.testing.assert_close(
        operator.upsample_full(x), Nearest(3, scale).upsample_full(phases), rtol=1e-13, atol=1e-13
    )


def test_icnr_keeps_the_weight_variance_of_torch():
    torch.manual_seed(0)
    operator = PixelShuffle(64, 2)
    bound = (64 * 9) ** -0.5
    assert operator.conv.weight.abs().max() <= bound
    assert operator.conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("scale", [2, 3])
def test_plain_initialises_every_sub_kernel_independently(scale):
    weight = PixelShuffle(4, scale, init="plain").conv.weight.flatten(1)
    assert len({tuple(row) for row in weight.tolist()}) == 4 * scale**2


def test_an_even_kernel_is_rejected():
    with pytest.raises(ValueError, match=r"kernel_size=.*odd"):
        PixelShuffle(4, 2, kernel_size=4)


def test_an_unknown_initialisation_is_rejected_with_the_allowed_names():
    with pytest.raises(ValueError, match=r"init=zero: .*icnr, plain or bilinear"):
        PixelShuffle(4, 2, init="zero")  # pyright: ignore[reportArgumentType]
