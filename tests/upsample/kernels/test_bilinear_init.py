"""Function-matched starts: what begins as bilinear interpolation is bilinear interpolation."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from upnet.upsample import (
    Area,
    BedOfNails,
    Bicubic,
    Bilinear,
    DecomposedTransposed,
    DySample,
    MaxUnpool,
    PixelShuffle,
    ResizeConv,
    Transposed,
    Upsampler,
)
from upnet.utils.errors import UserError

LEARNT = [
    Transposed,
    DecomposedTransposed,
    PixelShuffle,
    partial(PixelShuffle, kernel_size=5),
    partial(ResizeConv, kernel_size=5),
    partial(ResizeConv, fixed=Area, kernel_size=5),
    partial(ResizeConv, fixed=BedOfNails, kernel_size=11),
]
EXACT = [partial(ResizeConv, fixed=Bilinear), partial(ResizeConv, fixed=Bilinear, kernel_size=1), DySample]


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("make", LEARNT, ids=str)
def test_initialised_operator_equals_bilinear_interpolation_with_zero_padding(make, scale):
    """So off the outermost ⌊s/2⌋ pixels it is bilinear interpolation as `Bilinear` has it, whose borders repeat."""
    x, edge = torch.randn(2, 4, 6, 7, dtype=torch.float64), scale // 2
    out = make(channels=4, scale=scale, init="bilinear").double().upsample_full(x)
    framed = Bilinear(4, scale).upsample_full(F.pad(x, (1, 1, 1, 1)))[..., scale:-scale, scale:-scale]
    torch.testing.assert_close(out, framed, rtol=0, atol=1e-6)
    inside = (..., slice(edge, 6 * scale - edge), slice(edge, 7 * scale - edge))
    torch.testing.assert_close(out[inside], Bilinear(x.shape[1], scale).upsample_full(x)[inside], rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("make", EXACT, ids=str)
def test_resize_conv_after_bilinear_is_bilinear_also_at_the_borders(make, scale):
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    out = make(channels=4, scale=scale, init="bilinear").double().upsample_full(x)
    torch.testing.assert_close(out, Bilinear(x.shape[1], scale).upsample_full(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [1.14, 1.5, 2.5])
def test_resize_conv_after_bilinear_supports_fractional_scales(scale):
    x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    out = ResizeConv(4, scale, fixed=Bilinear, init="bilinear").double().upsample_full(x)
    torch.testing.assert_close(out, Bilinear(x.shape[1], scale).upsample_full(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [Transposed, DecomposedTransposed])
def test_the_smallest_kernel_that_contains_the_tent_is_accepted_and_smaller_ones_are_rejected(scale, kind):
    smallest = 2 * scale - scale % 2
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    out = kind(2, scale, kernel_size=smallest, init="bilinear").double().upsample_full(x)
    inside = (..., slice(scale // 2, -(scale // 2)), slice(scale // 2, -(scale // 2)))
    torch.testing.assert_close(out[inside], Bilinear(x.shape[1], scale).upsample_full(x)[inside], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=f"kernel_size={smallest - 1}: .*tent, {smallest} at scale {scale}"):
        kind(2, scale, kernel_size=smallest - 1, init="bilinear")


@pytest.mark.parametrize("kernel_size", [4, 5, 6, 7])
def test_off_centre_kernels_contain_the_shifted_tent(kernel_size):
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64)
    out = Transposed(2, 2, kernel_size=kernel_size, init="bilinear").double().upsample_full(x)[..., 1:-1, 1:-1]
    torch.testing.assert_close(out, Bilinear(2, 2).upsample_full(x)[..., 1:-1, 1:-1], rtol=0, atol=1e-6)


def test_all_operators_initialised_from_one_seed_are_the_same_function():
    """y = bilinear(m·x), and m is drawn first, so that it is the same in every arm of a study."""
    x, outputs = torch.randn(2, 5, 6, 7, dtype=torch.float64), []
    for make in (*LEARNT, EXACT[0]):
        torch.manual_seed(3)
        outputs.append(make(5, 2, 3, init="bilinear").double().upsample_full(x)[..., 1:-1, 1:-1])
    for out in outputs[1:]:
        torch.testing.assert_close(out, outputs[0], rtol=0, atol=1e-6)


def test_all_weights_receive_gradients_after_bilinear_initialisation():
    for make in (*LEARNT, *EXACT):
        operator: Upsampler = make(channels=4, scale=2, init="bilinear")
        operator.upsample_full(torch.randn(1, 4, 5, 5)).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in operator.parameters())


@pytest.mark.parametrize(
    ("make", "scale", "words"),
    [
        (partial(PixelShuffle, kernel_size=1), 2, "kernel_size=1: .*3, 5, 7"),
        (ResizeConv, 4, "3×3 convolution turns Nearest at scale 4 .*Set fixed to Bilinear"),
        (ResizeConv, 1.5, "Nearest at scale 1.5 .*Set fixed to Bilinear"),
        (partial(ResizeConv, fixed=Bicubic), 2, "Bicubic at scale 2 .*Set fixed to Bilinear"),
        (partial(ResizeConv, fixed=MaxUnpool), 2, "MaxUnpool at scale 2 .*Set fixed to Bilinear"),
    ],
    ids=str,
)
def test_configurations_without_bilinear_initialisation_are_rejected(make, scale, words):
    with pytest.raises(ValueError, match=words):
        make(channels=2, scale=scale, init="bilinear")


@pytest.mark.parametrize("kind", [Transposed, DecomposedTransposed, ResizeConv, PixelShuffle])
def test_an_unknown_initialisation_is_rejected_with_the_allowed_names(kind):
    with pytest.raises(UserError, match=r"init=zero: .*Allowed: .*plain or bilinear"):
        kind(2, 2, init="zero")
