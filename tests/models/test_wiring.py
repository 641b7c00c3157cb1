import typing

import pytest
import torch

from upnet.models.wiring import Interpolation, build_interpolation
from upnet.upsample import Bicubic, Bilinear, Nearest
from upnet.utils.errors import UserError


@pytest.mark.parametrize(("name", "operator"), [("bicubic", Bicubic), ("bilinear", Bilinear), ("nearest", Nearest)])
def test_build_interpolation_returns_the_named_operator(name, operator):
    x = torch.randn(1, 2, 5, 4)
    interpolation = build_interpolation(name, channels=2, scale=1.5)
    assert torch.equal(interpolation.upsample_full(x), operator(2, 1.5).upsample_full(x))


def test_bicubic_uses_coefficient_minus_one_half():
    interpolation = build_interpolation("bicubic", channels=1, scale=2)
    assert isinstance(interpolation, Bicubic)
    assert (interpolation.kernel_name, interpolation.a) == ("keys", -0.5)


def test_an_unknown_name_is_rejected_with_the_allowed_names():
    with pytest.raises(UserError) as refusal:
        build_interpolation("lanczos", channels=1, scale=2)  # pyright: ignore[reportArgumentType]
    assert (refusal.value.setting, refusal.value.value) == ("interpolation", "lanczos")
    assert all(name in refusal.value.allowed for name in typing.get_args(Interpolation))
