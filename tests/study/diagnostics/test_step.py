"""Edges whose overshoot and rise can be worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor, nn

from upnet.models import EncoderDecoder
from upnet.study.diagnostics import UpscalingMethod
from upnet.study.diagnostics.step import StepOvershoot, StepRise, profiles
from upnet.upsample import BedOfNails, Bicubic, Bilinear, Nearest, ResizeConv, Transposed

Network = Callable[..., EncoderDecoder]


def test_nearest_is_as_sharp_as_samples_can_be() -> None:
    assert StepOvershoot().compute_for_operator(Nearest(1, 3)) == 0
    assert StepRise().compute_for_operator(Nearest(1, 3)) == pytest.approx(0.8)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bilinear_rises_along_a_ramp_of_one_lr_pixel(scale: int) -> None:
    outputs = np.arange(-2 * scale, 2 * scale)
    ramp = np.clip((outputs + 0.5) / scale + 0.5, 0, 1)  # from the centre of pixel −1 to that of pixel 0
    rising = slice(np.flatnonzero(ramp == 0)[-1], np.flatnonzero(ramp == 1)[0] + 1)
    expected = np.interp(0.9, ramp[rising], outputs[rising]) - np.interp(0.1, ramp[rising], outputs[rising])
    assert StepRise().compute_for_operator(Bilinear(1, scale)) == pytest.approx(expected)
    assert StepOvershoot().compute_for_operator(Bilinear(1, scale)) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("a", "percent"), [(-0.5, 7.03125), (-0.75, 10.546875)])
def test_bicubic_overshoots_by_its_outer_taps(a: float, percent: float) -> None:
    """At ±1.25 pixels, the only tap on the dark side: −.0703 and −.1055."""
    assert StepOvershoot().compute_for_operator(Bicubic(1, 2, a=a)) == pytest.approx(percent)


def test_a_bed_of_nails_overshoots_its_mean_by_the_other_phases() -> None:
    """Along the edge the nails of a column have a mean of 1/s, and across it that is 1/s² on average."""
    assert StepOvershoot().compute_for_operator(BedOfNails(1, 3)) == pytest.approx(200)


def test_gain_and_offset_make_no_difference() -> None:
    operator = ResizeConv(1, 2, fixed=Bicubic, kernel_size=1).double()
    nn.init.constant_(operator.conv.weight, -3.0)
    assert operator.conv.bias is not None
    nn.init.constant_(operator.conv.bias, 0.2)
    assert StepOvershoot().compute_for_operator(operator) == pytest.approx(7.03125)
    assert StepRise().compute_for_operator(operator) == pytest.approx(StepRise().compute_for_operator(Bicubic(1, 2)))


def test_what_does_not_answer_to_an_edge_has_neither() -> None:
    blind = Transposed(1, 2).double()
    nn.init.zeros_(blind.conv.weight)
    assert math.isnan(StepOvershoot().compute_for_operator(blind))
    assert math.isnan(StepRise().compute_for_operator(blind))


def test_rows_and_columns_rising_and_falling_all_count() -> None:
    def only_along_rows(plane: Tensor) -> Tensor:
        return Bicubic(1, 2).upsample_full(plane[None])[0].mean(1, keepdim=True).expand(-1, 2 * plane.shape[1], -1)

    assert len(profiles(UpscalingMethod(only_along_rows, 2))) == 4
    found = [float(profile.max() - 1) for profile in profiles(UpscalingMethod.from_operator(Bicubic(1, 2)))]
    assert found == pytest.approx([0.0703125] * 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_is_bicubic_has_its_edge(bicubic: Network, channels: int) -> None:
    net = bicubic(f"model.channels={channels}")
    interpolation = net.residual_interpolation
    assert isinstance(interpolation, Bicubic)
    alike = Bicubic(1, 2, a=interpolation.a)
    assert StepOvershoot().compute_for_network(net) == pytest.approx(
        StepOvershoot().compute_for_operator(alike), abs=1e-3
    )
    assert StepRise().compute_for_network(net) == pytest.approx(StepRise().compute_for_operator(alike), abs=1e-4)


def test_an_operator_of_several_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="Build it with channels=1"):
        StepRise().compute_for_operator(Nearest(2, 2))
