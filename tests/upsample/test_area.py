"""Area against means over integer numbers of pixels."""

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from upnet.upsample import Area, Nearest


@pytest.mark.parametrize("scale", ["1.14", "1.25", "1.5", "2.5", "2.7"])
@pytest.mark.parametrize("size", [(50, 20), (7, 11), (1, 3)], ids=str)
def test_every_output_pixel_is_the_mean_over_its_area(scale, size):
    """With s = p/q: each input pixel cut into p × p, and the mean of every q × q of them."""
    ratio = Fraction(scale)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    cut = F.interpolate(x, scale_factor=ratio.numerator, mode="nearest")
    expected = F.avg_pool2d(cut, ratio.denominator)
    torch.testing.assert_close(Area(3, float(scale)).upsample_full(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 7])
def test_equals_nearest_at_integer_scales(scale):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    expected = Nearest(3, scale).upsample_full(x)
    operator = Area(3, scale)
    assert torch.equal(operator.upsample_full(x), expected)
    torch.testing.assert_close(operator.matrix(5) @ x @ operator.matrix(6).T, expected, rtol=1e-13, atol=1e-13)


def test_all_input_pixels_have_the_same_total_weight():
    columns = Area(1, 2.5).matrix(12).sum(0)
    torch.testing.assert_close(columns, torch.full((12,), 2.5, dtype=torch.float64), rtol=1e-12, atol=0)
