"""Phase variance: the checkerboard that an operator or a network draws on a constant image."""

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

INTERPOLATING = [
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
@pytest.mark.parametrize("make", INTERPOLATING, ids=str)
def test_operators_that_interpolate_at_initialization_have_no_phase_variance(
    make: Callable[..., Upsampler], scale: int
) -> None:
    operator = make(channels=4, scale=scale).double()
    assert PhaseVariance().compute_for_operator(operator) < 1e-14  # weights of 1/3 are set in float32


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_phase_variance_of_a_bed_of_nails_is_1_minus_1_over_s_squared(scale: int) -> None:
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
def test_phase_variance_of_random_kernels_is_1_minus_1_over_s_squared(
    make: Callable[..., Upsampler], scale: int
) -> None:
    """Also if s does not divide k. The standard deviation over draws of 32 × 32 channel pairs is at most 0.008."""
    torch.manual_seed(0)
    operator = without_bias(make(channels=32, scale=scale))
    assert PhaseVariance().compute_for_operator(operator) == pytest.approx(1 - 1 / scale**2, abs=0.03)


def test_biases_that_differ_by_phase_count_as_phase_variance() -> None:
    operator = PixelShuffle(1, 2).double()
    assert operator.conv.bias is not None
    nn.init.zeros_(operator.conv.weight)
    operator.conv.bias.data = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    assert PhaseVariance().compute_for_operator(operator) == pytest.approx(
        3.5 / 12.5
    )  # variance and mean square of 1, 2, 3, 6


def test_operator_and_its_method_have_the_same_phase_variance() -> None:
    torch.manual_seed(0)
    operator = without_bias(Transposed(1, 3, kernel_size=5).double())
    # The operator is linear and has no bias, so every level has the same share.
    expected = PhaseVariance().compute_for_operator(operator)
    assert PhaseVariance().compute_for_method(UpscalingMethod.from_operator(operator)) == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.rotating
@pytest.mark.parametrize(
    "preset",
    [("model=edsr", "model.encoder.width=4", "model.block.blocks=1"), ("model.encoder.width=4",), ("model=espcn",)],
)
def test_network_has_no_phase_variance_with_icnr_and_some_with_plain_initialization(
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


def test_pattern_with_a_period_above_the_scale_is_measured_with_alignment() -> None:
    def striped(plane: Tensor) -> Tensor:
        """The plane enlarged, plus stripes with a period of 4 output pixels."""
        output = plane.repeat_interleave(2, 1).repeat_interleave(2, 2)
        return output + 0.1 * torch.cos(torch.pi / 2 * torch.arange(output.shape[2], dtype=torch.float64))

    method = UpscalingMethod(striped, 2, alignment=2)
    assert phase_pattern(method, 0.5) == pytest.approx(0.5 + 0.1 * torch.tensor([1.0, 0, -1, 0]).expand(4, 4).numpy())
    # The mean square of a cosine is 1/2; that of the levels 0, 1/4, … 1 is 0.375.
    assert PhaseVariance().compute_for_method(method) == pytest.approx(0.005 / (0.005 + 0.375))
    assert PhaseVariance().compute_for_method(UpscalingMethod(striped, 2)) < 1e-20


def test_operator_that_needs_pooling_indices_is_rejected() -> None:
    with pytest.raises(ValueError, match="reads indices of its site"):
        PhaseVariance().compute_for_operator(MaxUnpool(1, 2))


def test_fractional_scale_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"scale=1\.5"):
        PhaseVariance().compute_for_operator(Bilinear(1, 1.5))
