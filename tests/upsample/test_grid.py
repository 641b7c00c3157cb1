"""Where operators stand on the half-pixel grid, and what they make of a constant."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from upnet.upsample import BedOfNails, Bicubic, Bilinear, Nearest, PixelShuffle, ResizeConv, Transposed, Upsampler

STARTS = [
    pytest.param(2, partial(PixelShuffle, init="plain"), 0.75, id="sub-pixel"),
    *(pytest.param(2, partial(Transposed, kernel_size=k), 0.75, id=f"transposed-k{k}") for k in (2, 3, 4, 6)),
    pytest.param(4, Transposed, 0.94, id="transposed-s4-k12"),
]


def shift_of_centre(operator: Upsampler) -> tuple[float, float]:
    """Distance of the centroid of an impulse response from the impulse, in output pixels, rows first."""
    x = torch.zeros(1, 1, 11, 11, dtype=torch.float64)
    x[0, 0, 5, 4] = 1
    with torch.no_grad():
        response = operator.double().upsample_full(x)[0, 0]
    response = response / response.sum()
    rows = (response.sum(1) * torch.arange(len(response))).sum().item()
    cols = (response.sum(0) * torch.arange(response.shape[1])).sum().item()
    return rows - (operator.scale * 5.5 - 0.5), cols - (operator.scale * 4.5 - 0.5)


def transposed_of_ones(scale: int, kernel_size: int | None) -> Transposed:
    operator = Transposed(1, scale, kernel_size=kernel_size)
    nn.init.ones_(operator.conv.weight)
    assert operator.conv.bias is not None
    nn.init.zeros_(operator.conv.bias)
    return operator


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_interpolations_are_centred_and_bed_of_nails_is_not(scale):
    kernels = (Bicubic(1, scale), Bicubic(1, scale, a=-0.75), Bicubic(1, scale, kernel="lagrange"))
    for operator in (Nearest(1, scale), Bilinear(1, scale), *kernels):
        assert shift_of_centre(operator) == pytest.approx((0, 0), abs=1e-12)
    assert shift_of_centre(BedOfNails(1, scale)) == pytest.approx((-(scale - 1) / 2, -(scale - 1) / 2))


@pytest.mark.parametrize(
    ("scale", "kernel_size", "shift"),
    [(2, 2, 0), (2, 4, 0), (2, 6, 0), (2, None, 0), (2, 3, -0.5), (2, 5, -0.5), (3, 3, 0), (3, 4, -0.5), (3, None, 0)],
)
def test_transposed_is_centred_if_kernel_and_scale_have_the_same_parity(scale, kernel_size, shift):
    assert shift_of_centre(transposed_of_ones(scale, kernel_size)) == pytest.approx((shift, shift), abs=1e-12)


def part_of_power_between_phases(operator: Upsampler) -> float:
    """Of the output's power on a constant input, the part that differs between the s·s phases: a checkerboard."""
    s = int(operator.scale)
    with torch.no_grad():
        out = operator.upsample_full(torch.ones(1, operator.channels, 7, 7))
    phases: Tensor = out[0, :, 3 * s : 4 * s, 3 * s : 4 * s].flatten(1).double()
    return (phases.var(dim=1, correction=0).sum() / phases.square().mean(dim=1).sum()).item()


@pytest.mark.parametrize(("scale", "start", "expected"), STARTS)
def test_independent_weights_start_with_a_checkerboard_for_any_overlap(scale, start, expected):
    """1 − 1/s² of the power, less what the one bias of a transposed convolution shares between the phases."""
    torch.manual_seed(0)
    assert part_of_power_between_phases(start(channels=32, scale=scale, out_channels=400)) == pytest.approx(
        expected, abs=0.04
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_icnr_and_resize_convolution_start_without_a_checkerboard(scale):
    torch.manual_seed(0)
    starts = [PixelShuffle, ResizeConv, partial(ResizeConv, fixed=Bilinear), partial(ResizeConv, fixed=Bicubic)]
    for start in starts:
        assert part_of_power_between_phases(start(channels=8, scale=scale)) < 1e-10
