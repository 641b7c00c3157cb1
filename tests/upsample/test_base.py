"""Sizes: what an operator makes of a size, and what it takes for one."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from upnet.site import Site
from upnet.upsample import Bilinear, Nearest, Upsampler


@given(hundredths=st.integers(100, 800), height=st.integers(1, 10_000))
@settings(deadline=None, max_examples=500)
def test_output_size_of_decimal_scales_is_not_rounded_down(hundredths, height):
    grown, _ = Nearest(1, hundredths / 100).output_size(height, 1)
    assert grown == math.floor(Fraction(hundredths, 100) * height)


@given(scale=st.floats(1, 16), height=st.integers(1, 10_000))
@settings(deadline=None, max_examples=500)
def test_input_size_is_the_smallest_that_covers_the_output(scale, height):
    operator = Nearest(1, scale)
    rows, _ = operator.input_size(height, 1)
    assert operator.output_size(rows, 1)[0] >= height
    assert rows == 1 or operator.output_size(rows - 1, 1)[0] < height


def test_output_size_includes_the_row_that_a_plain_floor_loses():
    assert math.floor(1.14 * 150) == 170
    assert Bilinear(1, 1.14).output_size(150, 100) == (171, 114)


def test_an_integer_scale_may_be_given_as_a_float():
    assert isinstance(Nearest(1, 2.0).scale, int)


@pytest.mark.parametrize("operator", [Nearest, Bilinear])
def test_scale_one_is_the_identity(operator, visit):
    x, site = visit(operator(2, 1), (5, 6))
    assert (operator(2, 1)(x, site) - x).abs().max() == 0


class Stranger(Upsampler):
    """Somebody else's operator, which makes whatever it is given."""

    def __init__(self, make, **sizes) -> None:
        super().__init__(3, 2, **sizes)
        self.make = make

    def expand(self, x: Tensor, site: Site) -> Tensor:
        return self.make(x)


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (2, 3, 8, 6)], ids=str)
def test_expand_may_return_the_full_or_the_cropped_size(shape):
    out = Stranger(lambda x: x.new_zeros(shape))(torch.zeros(2, 3, 4, 3), Site((7, 5)))
    assert out.shape == (2, 3, 7, 5)


@pytest.mark.parametrize(
    "shape",
    [(2, 3, 4, 3), (2, 3, 6, 5), (2, 3, 7, 4), (2, 3, 16, 12), (2, 3, 9, 6), (1, 3, 8, 6), (2, 4, 8, 6), (3, 8, 6)],
    ids=str,
)
def test_a_wrong_shape_from_expand_is_rejected_with_the_expected_shapes(shape):
    operator = Stranger(lambda x: x.new_zeros(shape))
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        operator(torch.zeros(2, 3, 4, 3), Site((7, 5)))
    message = str(refusal.value)
    assert message.startswith(f"Stranger.expand() returned {shape} for an input of (2, 3, 4, 3)")
    assert "(2, 3, 8, 6)" in message
    assert "(2, 3, 7, 5)" in message


def test_the_output_of_expand_has_out_channels():
    operator = Stranger(lambda x: x.new_zeros(2, 3, 8, 6), out_channels=5)
    with pytest.raises(ValueError, match=r"returned \(2, 3, 8, 6\).*must return \(2, 5, 8, 6\)"):
        operator(torch.zeros(2, 3, 4, 3), Site((8, 6)))
