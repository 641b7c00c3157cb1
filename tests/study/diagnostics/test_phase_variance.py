"""Checkerboards on constants: what has none, and how much of one a random operator has."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from upnet.models import EncoderDecoder
from upnet.study.diagnostics import UpscalingMethod
from upnet.study.diagnostics.phase_variance import PhaseVariance, phase_pattern
from upnet.upsample import (
    CARAFE,
    DCT,
    Area,
    BedOfNails,
    Bicubic,
    Bilinear,
    DySample,
    Lanczos,
    MaxUnpool,
    Nearest,
    PixelShuffle,
    ResizeConv,
    Transposed,
    Upsampler,
)

Network = Callable[..., EncoderDecoder]

FREE = [
    Nearest,
    Area,
    Bilinear,
    Bicubic,
    partial(Bicubic, kernel="lagrange"),
    Lanczos,
    DCT,
    CARAFE,
    DySample,
    ResizeConv,
    partial(ResizeConv, fixed=Bilinear, kernel_size=5),
    partial(PixelShuffle, init="icnr"),
    partial(PixelShuffle, init="bilinear"),
    partial(Transposed, init="bilinear"),
]


def without_bias(operator: Upsampler) -> Upsampler:
    for name, parameter in operator.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    return operator


@pytest.mark.covering
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("make", FREE, ids=str)
def test_what_interpolates_has_none_at_the_start(make: Callable[..., Upsampler], scale: int) -> None:
    operator = make(channels=4, scale=scale).double()
    assert PhaseVariance().compute_for_operator(operator) < 1e-14  # weights of 1/3 are drawn up in float32


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_bed_of_nails_has_all_but_its_mean(scale: int) -> None:
    assert PhaseVariance().compute_for_operator(BedOfNails(3, scale)) == pytest.approx(1 - 1 / scale**2, abs=1e-12)


@pytest.mark.parametrize(
    ("make", "scale"),
    [
        *((partial(Transposed, kernel_size=k), 2) for k in (2, 3, 4, 6)),
        (partial(Transposed, kernel_size=6), 3),
        (Transposed, 4),
        (partial(PixelShuffle, init="plain"), 2),
        (partial(PixelShuffle, init="plain"), 3),
    ],
    ids=str,
)
def test_random_sub_kernels_have_1_less_1_over_s_squared(make: Callable[..., Upsampler], scale: int) -> None:
    """Whether or not s divides k. The standard deviation over draws of 32 × 32 pairs of channels is 0.008 or less."""
    torch.manual_seed(0)
    operator = without_bias(make(channels=32, scale=scale))
    assert PhaseVariance().compute_for_operator(operator) == pytest.approx(1 - 1 / scale**2, abs=0.03)


def test_biases_that_differ_by_phase_are_a_checkerboard_of_their_own() -> None:
    operator = PixelShuffle(1, 2).double()
    assert operator.conv.bias is not None
    nn.init.zeros_(operator.conv.weight)
    operator.conv.bias.data = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    assert PhaseVariance().compute_for_operator(operator) == pytest.approx(
        3.5 / 12.5
    )  # variance and mean square of 1, 2, 3, 6


def test_an_operator_of_one_channel_is_a_subject_too() -> None:
    torch.manual_seed(0)
    operator = without_bias(Transposed(1, 3, kernel_size=5).double())
    # Linear and without a bias: every level has the same share.
    expected = PhaseVariance().compute_for_operator(operator)
    assert PhaseVariance().compute_for_method(UpscalingMethod.from_operator(operator)) == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.rotating
@pytest.mark.parametrize(
    "preset",
    [("model=edsr", "model.encoder.width=4", "model.block.blocks=1"), ("model.encoder.width=4",), ("model=espcn",)],
)
def test_a_network_that_starts_with_icnr_has_none_and_with_plain_sub_kernels_some(
    network: Network, preset: tuple[str, ...]
) -> None:
    share = {
        init: PhaseVariance().compute_for_network(
            network(*preset, "model/upsampler=pixel_shuffle", f"model.upsampler.init={init}")
        )
        for init in ("icnr", "plain")
    }
    assert share["icnr"] < 1e-10
    assert share["plain"] > 1e-6


def test_a_board_coarser_than_the_scale_is_seen_where_the_network_pools() -> None:
    def striped(plane: Tensor) -> Tensor:
        """Constant, but for stripes of a period of 4 output pixels."""
        output = plane.repeat_interleave(2, 1).repeat_interleave(2, 2)
        return output + 0.1 * torch.cos(torch.pi / 2 * torch.arange(output.shape[2], dtype=torch.float64))

    method = UpscalingMethod(striped, 2, alignment=2)
    assert phase_pattern(method, 0.5) == pytest.approx(0.5 + 0.1 * torch.tensor([1.0, 0, -1, 0]).expand(4, 4).numpy())
    # Of cosines the mean square is a half; of the levels 0, 1/4, … 1 it is 0.375.
    assert PhaseVariance().compute_for_method(method) == pytest.approx(0.005 / (0.005 + 0.375))
    assert PhaseVariance().compute_for_method(UpscalingMethod(striped, 2)) < 1e-20


def test_an_operator_that_needs_a_pooling_partner_is_refused() -> None:
    with pytest.raises(ValueError, match="reads indices of its site"):
        PhaseVariance().compute_for_operator(MaxUnpool(1, 2))


def test_a_fractional_scale_has_no_phases() -> None:
    with pytest.raises(ValueError, match=r"scale=1\.5"):
        PhaseVariance().compute_for_operator(Bilinear(1, 1.5))
