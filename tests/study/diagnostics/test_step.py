"""Step diagnostics: edges whose overshoot and rise have a closed form."""

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


def test_nearest_has_no_overshoot_and_the_shortest_rise() -> None:
    assert StepOvershoot().compute_for_operator(Nearest(1, 3)) == 0
    assert StepRise().compute_for_operator(Nearest(1, 3)) == pytest.approx(0.8)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bilinear_rise_is_a_ramp_of_one_lr_pixel(scale: int) -> None:
    outputs = np.arange(-2 * scale, 2 * scale)
    ramp = np.clip((outputs + 0.5) / scale + 0.5, 0, 1)  # from the centre of pixel −1 to that of pixel 0
    rising = slice(np.flatnonzero(ramp == 0)[-1], np.flatnonzero(ramp == 1)[0] + 1)
    expected = np.interp(0.9, ramp[rising], outputs[rising]) - np.interp(0.1, ramp[rising], outputs[rising])
    assert StepRise().compute_for_operator(Bilinear(1, scale)) == pytest.approx(expected)
    assert StepOvershoot().compute_for_operator(Bilinear(1, scale)) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("a", "percent"), [(-0.5, 7.03125), (-0.75, 10.546875)])
def test_bicubic_overshoot_is_the_weight_of_its_outer_tap(a: float, percent: float) -> None:
    """The only tap on the dark side, at ±1.25 pixels, is −.0703 or −.1055."""
    assert StepOvershoot().compute_for_operator(Bicubic(1, 2, a=a)) == pytest.approx(percent)


def test_bed_of_nails_overshoots_by_200_percent_at_scale_3() -> None:
    """A column with values has a mean of 1/s along the edge; the mean over all columns is 1/s²."""
    assert StepOvershoot().compute_for_operator(BedOfNails(1, 3)) == pytest.approx(200)


def test_gain_and_offset_do_not_affect_overshoot_and_rise() -> None:
    operator = ResizeConv(1, 2, fixed=Bicubic, kernel_size=1).double()
    nn.init.constant_(operator.conv.weight, -3.0)
    assert operator.conv.bias is not None
    nn.init.constant_(operator.conv.bias, 0.2)
    assert StepOvershoot().compute_for_operator(operator) == pytest.approx(7.03125)
    assert StepRise().compute_for_operator(operator) == pytest.approx(StepRise().compute_for_operator(Bicubic(1, 2)))


def test_operator_with_zero_weights_has_nan_overshoot_and_rise() -> None:
    zero_operator = Transposed(1, 2).double()
    nn.init.zeros_(zero_operator.conv.weight)
    assert math.isnan(StepOvershoot().compute_for_operator(zero_operator))
    assert math.isnan(StepRise().compute_for_operator(zero_operator))


def test_profiles_cover_both_axes_and_both_directions() -> None:
    def only_along_rows(plane: Tensor) -> Tensor:
        return Bicubic(1, 2).upsample_full(plane[None])[0].mean(1, keepdim=True).expand(-1, 2 * plane.shape[1], -1)

    assert len(profiles(UpscalingMethod(only_along_rows, 2))) == 4
    found = [float(profile.max() - 1) for profile in profiles(UpscalingMethod.from_operator(Bicubic(1, 2)))]
    assert found == pytest.approx([0.0703125] * 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic_network_has_the_overshoot_and_rise_of_bicubic(bicubic: Network, channels: int) -> None:
    net = bicubic(f"model.channels={channels}")
    interpolation = net.residual_interpolation
    assert isinstance(interpolation, Bicubic)
    same_operator = Bicubic(1, 2, a=interpolation.a)
    assert StepOvershoot().compute_for_network(net) == pytest.approx(
        StepOvershoot().compute_for_operator(same_operator), abs=1e-3
    )
    assert StepRise().compute_for_network(net) == pytest.approx(
        StepRise().compute_for_operator(same_operator), abs=1e-4
    )


def test_operator_with_several_channels_is_rejected() -> None:
    with pytest.raises(ValueError, match="Build it with channels=1"):
        StepRise().compute_for_operator(Nearest(2, 2))
