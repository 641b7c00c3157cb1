import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.upsample import Bilinear

SCALES = [2, 3, 4, 1.14, 1.5, 2.5]


def textbook(x: Tensor, scale: float) -> Tensor:
    """a + bx + cy + dxy through the four nearest pixels, one 4×4 system for each output pixel; (h, w) -> (H, W)."""
    height, width = x.shape
    out = torch.empty(math.floor(scale * height + 1e-9), math.floor(scale * width + 1e-9), dtype=x.dtype)
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            v, u = (row + 0.5) / scale - 0.5, (col + 0.5) / scale - 0.5
            points = [(math.floor(v) + i, math.floor(u) + j) for i in (0, 1) for j in (0, 1)]
            system = torch.tensor([[1, j, i, i * j] for i, j in points], dtype=x.dtype)
            # The border pixels are replicated.
            values = [x[min(max(i, 0), height - 1), min(max(j, 0), width - 1)] for i, j in points]
            a, b, c, d = torch.linalg.solve(system, torch.stack(values))
            out[row, col] = a + b * u + c * v + d * u * v
    return out


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(4, 6), (5, 3), (1, 2)])
def test_equals_the_polynomial_through_the_four_nearest_pixels(scale, size):
    x = torch.randn(*size, dtype=torch.float64)
    torch.testing.assert_close(Bilinear(1, scale).upsample_full(x[None, None])[0, 0], textbook(x, scale))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(8, 10), (11, 9)])
def test_output_and_matrix_equal_torch_bilinear_with_half_pixel_centres(scale, size):
    operator, x = Bilinear(3, scale), torch.randn(2, 3, *size, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(operator.upsample_full(x), expected, rtol=1e-12, atol=1e-12)
    product = operator.matrix(size[0]) @ x @ operator.matrix(size[1]).T
    torch.testing.assert_close(product, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_equals_a_transposed_convolution_with_a_tent_kernel_inside_the_border(scale):
    kernel, padding = 2 * scale - scale % 2, math.ceil((scale - 1) / 2)
    tent = 1 - ((torch.arange(kernel, dtype=torch.float64) - (kernel - 1) / 2) / scale).abs()
    x = torch.randn(1, 1, 9, 8, dtype=torch.float64)
    expected = F.conv_transpose2d(x, torch.outer(tent, tent)[None, None], stride=scale, padding=padding)
    out = Bilinear(1, scale).upsample_full(x)
    inner = (..., slice(scale, -scale), slice(scale, -scale))
    torch.testing.assert_close(out[inner], expected[inner], rtol=1e-14, atol=1e-14)
