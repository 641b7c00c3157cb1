import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from upnet.upsample import Nearest

SCALES = ["2", "3", "4", "1.14", "1.5", "1.75", "2.5", "2.7", "3.3"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("length", [1, 2, 5, 17, 150])
def test_every_output_pixel_copies_the_input_pixel_that_contains_its_centre(scale, length, dtype):
    """In exact fractions. A centre on the border of two input pixels, as 13.5/2.7 = 5, may take either."""
    exact = Fraction(scale)
    column = torch.arange(length, dtype=dtype).view(1, 1, length, 1)
    taken = Nearest(1, float(scale)).upsample_full(column)[0, 0, :, 0].tolist()
    places = [(o + Fraction(1, 2)) / exact for o in range(len(taken))]
    for index, place in zip(taken, places, strict=True):
        allowed = {math.floor(place), math.ceil(place) - 1}
        assert index in {min(i, length - 1) for i in allowed}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_integer_scales_equal_torch_nearest_and_area(scale):
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    out = Nearest(3, scale).upsample_full(x)
    for mode in ("nearest", "nearest-exact", "area"):
        assert torch.equal(out, F.interpolate(x, scale_factor=scale, mode=mode))


@pytest.mark.parametrize("scale", [1.14, 1.5, 2.5])
def test_fractional_scales_equal_torch_nearest_exact(scale):
    x = torch.randn(2, 3, 15, 14, dtype=torch.float64)
    out = Nearest(3, scale).upsample_full(x)
    assert torch.equal(out, F.interpolate(x, scale_factor=scale, mode="nearest-exact"))
    assert not torch.equal(out, F.interpolate(x, scale_factor=scale, mode="nearest"))
