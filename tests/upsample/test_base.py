"""Sizes: what an operator makes of a size, and what it takes for one."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upnet.upsample import Bilinear, Nearest


@given(hundredths=st.integers(100, 800), height=st.integers(1, 10_000))
@settings(deadline=None, max_examples=500)
def test_a_decimal_scale_loses_no_row_to_binary_rounding(hundredths, height):
    grown, _ = Nearest(1, hundredths / 100).enlarged(height, 1)
    assert grown == math.floor(Fraction(hundredths, 100) * height)


@given(scale=st.floats(1, 16), height=st.integers(1, 10_000))
@settings(deadline=None, max_examples=500)
def test_the_source_is_the_smallest_input_that_reaches_the_size(scale, height):
    operator = Nearest(1, scale)
    rows, _ = operator.source(height, 1)
    assert operator.enlarged(rows, 1)[0] >= height
    assert rows == 1 or operator.enlarged(rows - 1, 1)[0] < height


def test_the_row_that_plain_floor_loses_is_there():
    assert math.floor(1.14 * 150) == 170
    assert Bilinear(1, 1.14).enlarged(150, 100) == (171, 114)


def test_a_whole_scale_given_as_a_float_is_a_whole_scale():
    assert isinstance(Nearest(1, 2.0).scale, int)


@pytest.mark.parametrize("operator", [Nearest, Bilinear])
def test_scale_one_changes_nothing(operator, visit):
    x, site = visit(operator(2, 1), (5, 6))
    assert (operator(2, 1)(x, site) - x).abs().max() == 0
