import pytest
import torch
import torch.nn.functional as F

from upnet.upsample import BedOfNails


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_a_transposed_convolution_with_a_single_unit_weight(scale):
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    one = torch.ones(3, 1, 1, 1, dtype=torch.float64)
    expected = F.conv_transpose2d(x, one, stride=scale, output_padding=scale - 1, groups=3)
    assert torch.equal(BedOfNails(3, scale).upsample_full(x), expected)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(12, 12), (13, 11), (7, 5)])
def test_values_and_their_sum_are_kept_also_at_odd_sizes(scale, size, visit):
    operator = BedOfNails(3, scale)
    x, site = visit(operator, size)
    out = operator(x, site)
    assert torch.equal(out[..., ::scale, ::scale], x)
    assert torch.count_nonzero(out) == torch.count_nonzero(x)
