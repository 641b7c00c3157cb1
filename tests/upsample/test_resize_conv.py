from functools import partial

import pytest
import torch
import torch.nn.functional as F

from upnet.site import Site
from upnet.upsample import BedOfNails, Bicubic, MaxUnpool, ResizeConv


@pytest.mark.parametrize("scale", [2, 3, 1.5])
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_equals_the_convolution_of_the_fixed_operators_output(scale, kernel_size, fixed_factories):
    for factory in fixed_factories.values():
        fixed = factory(channels=4, scale=2 if not factory(channels=4, scale=2).fractional else scale)
        operator = ResizeConv(4, fixed.scale, out_channels=3, fixed=factory, kernel_size=kernel_size).double()
        x = torch.randn(2, 4, 6, 5, dtype=torch.float64)
        expected = F.conv2d(fixed.upsample_full(x), operator.conv.weight, operator.conv.bias, padding=kernel_size // 2)
        torch.testing.assert_close(operator.upsample_full(x), expected, rtol=1e-12, atol=1e-12)


def test_odd_outputs_are_cropped_before_the_convolution():
    """If it were cropped after the convolution, the last row would depend on a row outside the output."""
    operator = ResizeConv(2, 2).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    cropped = operator.fixed(x, Site((7, 7)))
    out = operator(x, Site((7, 7)))
    torch.testing.assert_close(out, operator.conv(cropped), rtol=1e-13, atol=1e-13)
    assert (out - operator.upsample_full(x)[..., :7, :7])[..., -1, :].abs().min() > 0


def test_requires_the_site_fields_of_its_fixed_operator(visit):
    operator = ResizeConv(3, 2, fixed=MaxUnpool).double()
    assert operator.requires == {"indices"}
    x, site = visit(operator, (9, 7))
    torch.testing.assert_close(operator(x, site), operator.conv(MaxUnpool(3, 2)(x, site)), rtol=1e-13, atol=1e-13)


def test_bed_of_nails_and_convolution_equal_a_transposed_convolution():
    operator = ResizeConv(2, 2, fixed=BedOfNails).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    weight = operator.conv.weight.flip(2, 3).transpose(0, 1)
    expected = F.conv_transpose2d(x, weight, operator.conv.bias, stride=2, padding=1, output_padding=1)
    torch.testing.assert_close(operator.upsample_full(x), expected, rtol=1e-13, atol=1e-13)


def test_settings_are_passed_to_the_fixed_operator():
    fixed = ResizeConv(2, 2, fixed=partial(Bicubic, a=-0.75)).fixed
    assert isinstance(fixed, Bicubic)
    assert fixed.a == -0.75


def test_a_scale_that_the_fixed_operator_does_not_support_is_rejected():
    with pytest.raises(ValueError, match=r"scale=1\.5: BedOfNails needs an integer scale"):
        ResizeConv(2, 1.5, fixed=BedOfNails)


def test_an_even_kernel_is_rejected():
    with pytest.raises(ValueError, match=r"kernel_size=2: .*odd"):
        ResizeConv(4, 2, kernel_size=2)
