"""Declared and measured support of the operators."""

import copy
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
    *((3, partial(ResizeConv, fixed=f, kernel_size=5)) for f in (Bilinear, Bicubic, Nearest, BedOfNails)),
    (4, partial(ResizeConv, fixed=BedOfNails)),
    (1.5, partial(ResizeConv, fixed=Area)),
    (2.5, partial(ResizeConv, fixed=Bilinear, kernel_size=5)),
]


def period(operator: Upsampler) -> int:
    """After how many output pixels the phases begin again; scales of two decimals have no more than this."""
    return next(n for n in range(1, 500) if abs(n / operator.scale - round(n / operator.scale)) < 1e-9)


def supports(operator: Upsampler, visit) -> list[tuple[int, Tensor]]:
    """Of output pixels (o, o), one per phase: o, and the mask (h, w) of the input pixels that move it."""
    phases, length = period(operator), 2 * MIDDLE + math.ceil(period(operator) / operator.scale)
    x, site = visit(operator, operator.output_size(length, length))
    x.requires_grad_()
    out = operator(x, site)
    start = round(MIDDLE * operator.scale)
    # Where positions decide, a pixel of each block is made of something; on the diagonal it may be none of them.
    side = range(start, start + (3 * phases if operator.requires else phases))
    places = [(row, col) for row in side for col in (side if operator.requires else (row,))]
    found = []
    for row, col in places:
        # Of one channel: groups of channels may be made of different pixels.
        (gradient,) = torch.autograd.grad(out[0, 0, row, col], x, retain_graph=True)
        found.append((row, gradient[0].abs().amax(0) > 1e-13))
    return found


def check(operator: Upsampler, visit) -> None:
    masks = supports(operator, visit)
    most = max(int(mask.sum()) for _, mask in masks)
    assert most == (masks[0][1].numel() if operator.support_size is None else operator.support_size)


@pytest.mark.parametrize("out_channels", [None, 2])
def test_support_size_is_that_of_the_jacobian(factory, scale, out_channels, visit):
    torch.manual_seed(0)
    extra = {} if out_channels is None else {"out_channels": out_channels}
    operator = factory(channels=4, scale=scale, **extra).double()
    if operator.requires and out_channels:
        pytest.skip("reads positions of the channels that come in")
    check(operator, visit)


@pytest.mark.parametrize(("scale", "make"), OTHERS)
def test_support_size_follows_the_settings(scale, make, visit):
    torch.manual_seed(0)
    check(make(channels=4, scale=scale).double(), visit)


def test_only_inputs_of_the_declared_support_change_an_output_pixel(factory, scale, visit):
    torch.manual_seed(0)
    operator = factory(channels=4, scale=scale).double()
    if operator.receptive_radius is None:
        pytest.skip("its places may be anywhere")
    for place, mask in supports(operator, visit):
        support = operator.input_support(place)
        assert support is not None
        assert set(mask.any(1).nonzero().flatten().tolist()) <= set(support)
        own = math.floor(place / operator.scale)
        assert own - operator.receptive_radius <= support.start
        assert support.stop - 1 <= own + operator.receptive_radius


def test_an_operator_that_declares_no_bound_has_none():
    class Unbounded(Nearest):
        def input_support(self, output: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            return None

    assert Unbounded(1, 2).support_size is None
    assert Unbounded(1, 2).receptive_radius is None
    assert ResizeConv(1, 2, fixed=Unbounded).support_size is None


@pytest.mark.parametrize("out_channels", [None, 2])
def test_measured_support_is_the_declared_one(factory, scale, out_channels):
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
def test_no_support_is_measured_where_it_is_unbounded_or_depends_on_the_input(operator):
    assert measure_input_support(operator, 5) is None


def test_weights_that_start_at_zero_or_have_no_numbers_yet_are_measured_too():
    operator = Transposed(4, 2, init="bilinear")
    before = {name: value.clone() for name, value in operator.state_dict().items()}
    assert measure_input_support(operator, 3) == operator.input_support(3)
    assert measure_input_support(operator.to("meta"), 3) == operator.input_support(3)
    assert before.keys() == operator.state_dict().keys()


def test_measuring_changes_neither_weights_nor_random_numbers():
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


def test_an_operator_of_one_method_has_a_support_and_a_receptive_radius():
    assert (OneMethod(3, 3).support_size, OneMethod(3, 3).receptive_radius) == (25, 2)
    assert (OneMethod(3, 2, 8).support_size, OneMethod(3, 2, 8).receptive_radius) == (49, 3)
    with torch.inference_mode():
        assert OneMethod(3, 2).receptive_radius == 2
