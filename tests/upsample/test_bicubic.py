import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from upnet.upsample import Bicubic

SCALES = [2, 3, 4, 1.14, 1.5, 2.5]


def textbook(x: Tensor, scale: float) -> Tensor:
    """Σ c_pq v^p u^q, p and q from 0 to 3, through the sixteen nearest pixels; (h, w) -> (H, W).

    The 16×16 system is written in coordinates from the nearest pixel to the upper left, in which it is the same for
    every output pixel: it is solved once, for as many right-hand sides as there are output pixels.
    """
    height, width = x.shape
    steps = torch.arange(-1.0, 3.0, dtype=torch.float64)
    powers = steps[:, None] ** torch.arange(4)
    system = torch.einsum("ip,jq->ijpq", powers, powers).reshape(16, 16)
    rows = (torch.arange(math.floor(scale * height + 1e-9), dtype=torch.float64) + 0.5) / scale - 0.5
    cols = (torch.arange(math.floor(scale * width + 1e-9), dtype=torch.float64) + 0.5) / scale - 0.5
    near_rows = (rows.floor()[:, None] + steps).long().clamp(0, height - 1)
    near_cols = (cols.floor()[:, None] + steps).long().clamp(0, width - 1)
    values = x[near_rows[:, None, :, None], near_cols[None, :, None, :]].reshape(-1, 16)
    coefficients = torch.linalg.solve(system, values.T).T.reshape(len(rows), len(cols), 4, 4)
    v = (rows - rows.floor())[:, None] ** torch.arange(4)
    u = (cols - cols.floor())[:, None] ** torch.arange(4)
    return torch.einsum("rcpq,rp,cq->rc", coefficients, v, u)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 3)])
def test_lagrange_equals_the_polynomial_through_the_sixteen_nearest_pixels(scale, size):
    x = torch.randn(*size, dtype=torch.float64)
    out = Bicubic(1, scale, kernel="lagrange").upsample_full(x[None, None])[0, 0]
    torch.testing.assert_close(out, textbook(x, scale), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (1, 2)])
def test_keys_with_minus_three_quarters_equals_torch_bicubic(scale, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
    torch.testing.assert_close(Bicubic(3, scale, a=-0.75).upsample_full(x), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_keys_with_minus_one_half_equals_pillow_and_antialiased_torch_inside_the_border(scale):
    """Pillow and torch normalise the weights of the pixels inside the image; upnet replicates the border."""
    x = torch.randn(1, 1, 11, 9, dtype=torch.float64)
    out = Bicubic(1, scale).upsample_full(x)
    inner = (..., slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    antialiased = F.interpolate(x, scale_factor=scale, mode="bicubic", antialias=True)
    torch.testing.assert_close(out[inner], antialiased[inner], rtol=1e-11, atol=1e-11)
    pillow = Image.fromarray(x[0, 0].float().numpy()).resize((9 * scale, 11 * scale), Image.Resampling.BICUBIC)
    torch.testing.assert_close(out[inner][0, 0].float(), torch.from_numpy(np.array(pillow))[inner], rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("a", "taps"), [(-0.75, (0.8789, 0.2617, -0.1055, -0.0352)), (-0.5, (0.8672, 0.2266, -0.0703, -0.0234))]
)
def test_weights_at_scale_2_equal_the_published_weights(a, taps):
    weights = Bicubic(1, 2, a=a).kernel(torch.tensor([0.25, 0.75, 1.25, 1.75], dtype=torch.float64))
    assert weights.tolist() == pytest.approx(taps, abs=5e-5)
    assert Bicubic(1, 2, a=a).matrix(9)[8, 2:6].tolist() == pytest.approx([taps[i] for i in (3, 1, 0, 2)], abs=5e-5)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("settings", "degree"), [({"kernel": "lagrange"}, 3), ({"a": -0.5}, 2), ({"a": -0.75}, 0), ({"a": 0.0}, 0)], ids=str
)
def test_polynomials_are_reproduced_up_to_the_degree_of_the_kernel(scale, settings, degree):
    operator, length = Bicubic(1, scale, **settings), 16
    grid = torch.arange(length, dtype=torch.float64)
    matrix = operator.matrix(length)
    place = (torch.arange(len(matrix), dtype=torch.float64) + 0.5) / scale - 0.5
    inside = (place >= 2) & (place <= length - 3)
    for power in range(degree + 1):
        torch.testing.assert_close((matrix @ grid**power)[inside], place[inside] ** power, rtol=1e-11, atol=1e-9)
    missed = (matrix @ grid ** (degree + 1))[inside] - place[inside] ** (degree + 1)
    assert missed.abs().max() > 1e-3


@pytest.mark.parametrize("kernel", ["keys", "lagrange"])
def test_input_pixels_are_interpolated_exactly_where_the_grids_coincide(kernel):
    """At scale 3 every third output pixel coincides with an input pixel."""
    x = torch.randn(1, 1, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(
        Bicubic(1, 3, kernel=kernel).upsample_full(x)[..., 1::3, 1::3], x, rtol=1e-14, atol=1e-14
    )


@pytest.mark.parametrize("a", [0.1, -1.5, float("nan")])
def test_a_coefficient_out_of_range_is_rejected(a):
    with pytest.raises(ValueError, match=r"a=.*a number in \[-1, 0\]"):
        Bicubic(1, 2, a=a)


def test_an_unknown_kernel_is_rejected_with_the_allowed_names():
    with pytest.raises(ValueError, match=r"kernel=spline: .*Allowed: keys or lagrange"):
        Bicubic(1, 2, kernel="spline")  # pyright: ignore[reportArgumentType]
