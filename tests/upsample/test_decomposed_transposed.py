import pytest
import torch
from torch import nn

from upnet.upsample import DecomposedTransposed, Transposed

KERNELS = [(1, 3), (2, 2), (2, 3), (2, 4), (2, None), (3, 3), (3, 4), (3, None), (4, 6), (5, None)]
each_kernel = pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)


@each_kernel
def test_equals_two_1d_transposed_convolutions(scale, kernel_size):
    operator = DecomposedTransposed(3, scale, out_channels=2, kernel_size=kernel_size).double()
    k = kernel_size or 3 * scale
    p = -(-(k - scale) // 2)
    left = 2 * p - (k - scale)
    rows = nn.ConvTranspose2d(3, 2, (k, 1), stride=(scale, 1), padding=(p, 0), output_padding=(left, 0), bias=False)
    cols = nn.ConvTranspose2d(2, 2, (1, k), stride=(1, scale), padding=(0, p), output_padding=(0, left))
    rows.double().load_state_dict(operator.rows.state_dict())
    cols.double().load_state_dict(operator.cols.state_dict())
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    assert torch.equal(operator.upsample_full(x), cols(rows(x)))
    assert sum(p.numel() for p in operator.parameters()) == k * 3 * 2 + k * 2 * 2 + 2


@each_kernel
def test_equals_the_transposed_convolution_with_outer_product_kernels(scale, kernel_size):
    operator = DecomposedTransposed(3, scale, out_channels=2, kernel_size=kernel_size).double()
    dense = Transposed(3, scale, out_channels=2, kernel_size=kernel_size).double()
    with torch.no_grad():
        products = torch.einsum("imr,moc->iorc", operator.rows.weight[..., 0], operator.cols.weight[:, :, 0])
        dense.conv.weight.copy_(products)
        assert dense.conv.bias is not None
        assert operator.cols.bias is not None
        dense.conv.bias.copy_(operator.cols.bias)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(operator.upsample_full(x), dense.upsample_full(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("scale", "kernel_size"), [(2, 2), (2, None), (4, None)])
def test_initial_output_variance_matches_a_convolution(scale, kernel_size):
    torch.manual_seed(0)
    out = DecomposedTransposed(64, scale, kernel_size=kernel_size).upsample_full(torch.randn(4, 64, 12, 12))
    inside = out[..., 2 * scale : -2 * scale, 2 * scale : -2 * scale]
    assert inside.var().item() == pytest.approx(1 / 3, rel=0.2)


def test_kernels_smaller_than_the_scale_or_off_centre_are_rejected():
    with pytest.raises(ValueError, match=r"kernel_size=2: DecomposedTransposed needs .*3 or more at scale 3"):
        DecomposedTransposed(1, 3, kernel_size=2)
    with pytest.raises(ValueError, match="odd kernel at scale 1"):
        DecomposedTransposed(1, 1, kernel_size=4)
