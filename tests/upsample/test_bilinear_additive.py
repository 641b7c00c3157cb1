import pytest
import torch
import torch.nn.functional as F

from upnet.upsample import Bilinear, BilinearAdditive, ResizeConv


@pytest.mark.parametrize("scale", [2, 3, 1.5])
@pytest.mark.parametrize(("channels", "group_size"), [(8, 4), (8, 2), (8, 8), (6, 1)])
def test_equals_bilinear_then_channel_sums_then_a_convolution(scale, channels, group_size):
    operator = BilinearAdditive(channels, scale, out_channels=3, group_size=group_size).double()
    x = torch.randn(2, channels, 6, 4, dtype=torch.float64)
    grown = F.interpolate(x, scale_factor=scale, mode="bilinear")
    added = grown.reshape(2, channels // group_size, group_size, *grown.shape[2:]).sum(2)
    conv = operator.resize.conv
    expected = F.conv2d(added, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(operator.upsample_full(x), expected, rtol=1e-12, atol=1e-12)


def test_default_groups_have_four_channels_as_in_the_paper():
    operator = BilinearAdditive(64, 2)
    grown = operator.resize.fixed.upsample_full(operator.channel_sums(torch.randn(1, 64, 6, 5)))
    assert operator.group_size == 4
    assert grown.numel() == 64 * 6 * 5


def test_the_last_group_has_the_remaining_channels():
    operator = BilinearAdditive(6, 2, group_size=4).double()
    x = torch.randn(1, 6, 3, 3, dtype=torch.float64)
    assert torch.equal(operator.channel_sums(x), torch.stack((x[:, :4].sum(1), x[:, 4:].sum(1)), dim=1))
    assert operator.upsample_full(x).shape == (1, 6, 6, 6)


def test_groups_of_one_channel_give_a_resize_convolution():
    operator, twin = BilinearAdditive(4, 3, group_size=1).double(), ResizeConv(4, 3, fixed=Bilinear).double()
    twin.conv.load_state_dict(operator.resize.conv.state_dict())
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(operator.upsample_full(x), twin.upsample_full(x), rtol=1e-13, atol=1e-13)


def test_initial_output_variance_matches_a_convolution():
    """Of inputs so coarse that interpolation takes nothing away."""
    torch.manual_seed(0)
    x = torch.randn(64, 64, 1, 1).expand(-1, -1, 6, 6)
    inside = BilinearAdditive(64, 2).upsample_full(x)[..., 2:-2, 2:-2]
    single = torch.nn.Conv2d(64, 64, 3, padding=1)(x)[..., 2:-2, 2:-2]
    assert inside.var().item() == pytest.approx(single.var().item(), rel=0.35)


@pytest.mark.parametrize(
    ("setting", "words"), [({"group_size": 0}, "group_size=0: .*4 in the paper"), ({"kernel_size": 2}, "odd")]
)
def test_empty_groups_and_even_kernels_are_rejected(setting, words):
    with pytest.raises(ValueError, match=words):
        BilinearAdditive(4, 2, **setting)
