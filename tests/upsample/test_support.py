"""Declared and measured support of the operators."""

import copy
import itertools
import math
from functools import partial

import pytest
import torch
from torch import Tensor

from upnet.site import Site
from upnet.upsample import (
    CARAFE,
    DCT,
    Area,
    BedOfNails,
    Bicubic,
    Bilinear,
    BilinearAdditive,
    DecomposedTransposed,
    DySample,
    Lanczos,
    Nearest,
    PixelShuffle,
    ResizeConv,
    Transposed,
    Upsampler,
)
from upnet.upsample.support import measure_input_support

MIDDLE = 9
"""How many input pixels lie before and after the ones looked at: more than the widest kernel here reaches."""

OTHERS = [
    (3, partial(Lanczos, lobes=2)),
    (2, partial(Bicubic, a=0.0)),
    (2, partial(PixelShuffle, kernel_size=1)),
    (3, partial(PixelShuffle, kernel_size=5)),
    (2, partial(CARAFE, k_enc=5, k_up=3)),
    (2, partial(BilinearAdditive, kernel_size=5)),
    *((s, partial(Transposed, kernel_size=k)) for s, k in ((2, 2), (2, 3), (3, 4), (3, 5))),
    *((s, partial(DecomposedTransposed, kernel_size=k)) for s, k in ((2, 2), (2, 3), (3, 5))),
    *((2, partial(ResizeConv, fixed=f, kernel_size=k)) for f in (Bilinear, Bicubic, BedOfNails) for k in (1, 5)),
    *((s, partial(ResizeConv, fixed=Nearest, kernel_size=k)) for s in (2, 3) for k in (1, 7)),
    *((3, partial(ResizeConv, fixed=f, kernel_size=5)) for f in (Bilinear, Bicubic, Nearest, BedOfNails)),
    (4, partial(ResizeConv, fixed=BedOfNails)),
    (1.5, partial(ResizeConv, fixed=Area)),
    (2.5, partial(ResizeConv, fixed=Bilinear, kernel_size=5)),
]


def period(operator: Upsampler) -> int:
    """After how many output pixels the phases begin again; scales of two decimals have no more than this."""
    return next(n for n in range(1, 500) if abs(n / operator.scale - round(n / operator.scale)) < 1e-9)


Row = tuple[int, int, Tensor]
"""An output pixel (row, col), and the mask (h, w) of the input pixels that it has a gradient of."""


def jacobian(operator: Upsampler, visit) -> tuple[list[Row], list[Row]]:
    """Rows of the Jacobian: of an output pixel of each phase far from the borders, and of output pixels at them."""
    phases, length = period(operator), 2 * MIDDLE + math.ceil(period(operator) / operator.scale)
    x, site = visit(operator, operator.output_size(length, length))
    x.requires_grad_()
    out = operator(x, site)

    def mask(row: int, col: int) -> Row:
        # Of one channel: the inputs may differ between groups of channels.
        (gradient,) = torch.autograd.grad(out[0, 0, row, col], x, retain_graph=True)
        return row, col, gradient[0].abs().amax(0) > 1e-13

    start, last, edge = round(MIDDLE * operator.scale), out.shape[-1], math.ceil(3 * operator.scale)
    if operator.requires:
        # Output pixels that are no maximum depend on nothing: look at all pixels of three blocks.
        inner = [mask(*place) for place in itertools.product(range(start, start + 3 * phases), repeat=2)]
    else:
        inner = [mask(place, place) for place in range(start, start + phases)]
    return inner, [mask(place, place) for place in (*range(edge), *range(last - edge, last))]


def reach(operator: Upsampler, rows: list[Row]) -> int:
    """Largest distance, in input pixels of one axis, between an output pixel and an input that it depends on."""
    distances = [0]
    for row, col, mask in rows:
        for output, inputs in ((row, mask.any(1)), (col, mask.any(0))):
            centre = math.floor(output / operator.scale + 1e-9)
            distances.extend(abs(index - centre) for index in inputs.nonzero().flatten().tolist())
    return max(distances)


def check(operator: Upsampler, visit) -> None:
    """Compare the declared support_size, receptive_radius and input_support with the Jacobian."""
    inner, border = jacobian(operator, visit)
    largest = max(int(mask.sum()) for _, _, mask in inner)
    assert largest == (inner[0][2].numel() if operator.support_size is None else operator.support_size)
    if operator.receptive_radius is None:
        return
    assert reach(operator, inner) == operator.receptive_radius
    assert reach(operator, border) <= operator.receptive_radius
    for row, _, mask in inner if not list(operator.projection.parameters()) else []:
        support = operator.input_support(row)
        assert support is not None
        assert set(mask.any(1).nonzero().flatten().tolist()) <= set(support)


@pytest.mark.covering
@pytest.mark.parametrize("out_channels", [None, 2])
def test_support_size_and_receptive_radius_match_the_jacobian(factory, scale, out_channels, visit):
    torch.manual_seed(0)
    extra = {} if out_channels is None else {"out_channels": out_channels}
    operator = factory(channels=4, scale=scale, **extra).double()
    if operator.requires and out_channels:
        pytest.skip("the indices belong to the input channels")
    check(operator, visit)


@pytest.mark.parametrize(("scale", "make"), OTHERS)
def test_support_size_follows_the_settings(scale, make, visit):
    torch.manual_seed(0)
    check(make(channels=4, scale=scale).double(), visit)


@pytest.mark.parametrize("kernel_size", range(2, 10))
def test_the_wider_side_of_a_transposed_convolution_decides_its_radius(kernel_size, visit):
    check(Transposed(4, 2, kernel_size=kernel_size).double(), visit)


def test_an_operator_without_input_support_is_unbounded():
    class Unbounded(Nearest):
        def input_support(self, output: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            return None

    assert Unbounded(1, 2).support_size is None
    assert Unbounded(1, 2).receptive_radius is None
    assert ResizeConv(1, 2, fixed=Unbounded).support_size is None


@pytest.mark.rotating
@pytest.mark.parametrize("out_channels", [None, 2])
def test_measured_support_equals_the_declared_support(factory, scale, out_channels):
    torch.manual_seed(0)
    operator = factory(channels=4, scale=scale, **({} if out_channels is None else {"out_channels": out_channels}))
    if scale == 1.14 or operator.receptive_radius is None:
        pytest.skip("57 phases take long" if scale == 1.14 else "unbounded")
    for output in range(min(period(operator), 3)):
        measured, declared = measure_input_support(operator, output), operator.input_support(output)
        assert measured is not None
        assert declared is not None
        assert list(measured) == list(declared)


@pytest.mark.parametrize("operator", [DCT(2, 2), DySample(4, 2), DySample(4, 2, style="pl")], ids=str)
def test_unbounded_or_input_dependent_support_is_measured_as_none(operator):
    assert measure_input_support(operator, 5) is None


def test_support_is_measured_with_zero_weights_and_on_the_meta_device():
    operator = Transposed(4, 2, init="bilinear")
    before = {name: value.clone() for name, value in operator.state_dict().items()}
    assert measure_input_support(operator, 3) == operator.input_support(3)
    assert measure_input_support(operator.to("meta"), 3) == operator.input_support(3)
    assert before.keys() == operator.state_dict().keys()


def test_measuring_support_changes_neither_weights_nor_rng_state():
    operator = PixelShuffle(4, 2)
    before, state = copy.deepcopy(operator.state_dict()), torch.get_rng_state()
    measure_input_support(operator, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in operator.state_dict().items())


class OneMethod(Upsampler):
    """Blurs by a 5×5 box, then repeats each pixel; declares nothing."""

    def expand(self, x: Tensor, site: Site) -> Tensor:
        blurred = torch.nn.functional.avg_pool2d(x, 5, stride=1, padding=2)
        return blurred.repeat_interleave(int(self.scale), -1).repeat_interleave(int(self.scale), -2)


def test_an_operator_that_defines_only_expand_has_a_measured_support():
    assert (OneMethod(3, 3).support_size, OneMethod(3, 3).receptive_radius) == (25, 2)
    assert (OneMethod(3, 2, 8).support_size, OneMethod(3, 2, 8).receptive_radius) == (49, 3)
    with torch.inference_mode():
        assert OneMethod(3, 2).receptive_radius == 2
