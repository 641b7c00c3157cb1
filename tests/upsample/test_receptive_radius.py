"""The receptive radius of each operator, tested by changing one input pixel after the other."""

import math
from collections.abc import Iterator

import pytest
import torch

from upnet.upsample import Bilinear, Nearest, ResizeConv, Transposed, Upsampler


def built(factory, scale, out_channels=None) -> Upsampler:
    torch.manual_seed(0)
    extra = {} if out_channels is None else {"out_channels": out_channels}
    return factory(channels=4, scale=scale, **extra).double()


def distances(operator: Upsampler, visit, pixels: range, length: int) -> Iterator[int]:
    """How far each output pixel that a change of an input pixel reaches lies from it, in each axis, in input pixels."""
    x, site = visit(operator, operator.output_size(length, length + 1))
    calm = operator(x, site)
    for pixel in pixels:
        changed = x.clone()
        changed[..., pixel, pixel] += 7
        differs = (operator(changed, site) != calm).any(0).any(0)
        for axis in (0, 1):
            for output in differs.any(1 - axis).nonzero().flatten().tolist():
                yield abs(pixel - math.floor(output / operator.scale + 1e-9))


def radius_of(operator: Upsampler) -> int:
    if operator.receptive_radius is None:
        pytest.skip("has no bound, and says so")
    return operator.receptive_radius


@pytest.mark.parametrize("out_channels", [None, 2])
def test_an_output_pixel_looks_as_far_as_declared_and_no_farther(factory, scale, out_channels, visit):
    operator = built(factory, scale, out_channels)
    radius = radius_of(operator)
    # Fractional scales meet all their phases within 7 input pixels, 1.14 within 50.
    period = 50 if scale == 1.14 else 7
    length = 2 * radius + period + 2
    inner = range(radius + 1, radius + 1 + period)
    if operator.requires and out_channels is not None:
        pytest.skip("positions belong to the channels that were pooled")
    assert max(distances(operator, visit, inner, length)) == radius


def test_at_the_borders_nothing_looks_farther_either(factory, scale, visit):
    operator = built(factory, scale)
    radius = radius_of(operator)
    length = 2 * radius + 6
    for pixels in (range(radius + 2), range(length - radius - 2, length)):
        assert max(distances(operator, visit, pixels, length)) <= radius


@pytest.mark.parametrize("kernel_size", range(2, 10))
def test_of_a_transposed_convolution_the_wider_side_counts(kernel_size, visit):
    operator = Transposed(4, 2, kernel_size=kernel_size).double()
    assert max(distances(operator, visit, range(7, 11), 20)) == operator.receptive_radius


@pytest.mark.parametrize("fixed", [Nearest, Bilinear])
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_a_resize_convolution_looks_as_far_as_both_its_parts(fixed, kernel_size, visit):
    for scale in (2, 3):
        operator = ResizeConv(4, scale, fixed=fixed, kernel_size=kernel_size).double()
        assert max(distances(operator, visit, range(7, 11), 20)) == operator.receptive_radius
