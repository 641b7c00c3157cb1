import typing

import pytest
import torch

from upnet.upsample import Bicubic, Bilinear, Nearest, build_interpolation
from upnet.upsample.interpolation import Interpolation


@pytest.mark.parametrize(("name", "operator"), [("bicubic", Bicubic), ("bilinear", Bilinear), ("nearest", Nearest)])
def test_build_interpolation_returns_the_named_operator(name, operator):
    x = torch.randn(1, 2, 5, 4)
    assert torch.equal(
        build_interpolation(name, channels=2, scale=1.5).upsample_full(x), operator(2, 1.5).upsample_full(x)
    )


def test_bicubic_uses_coefficient_minus_one_half():
    built = build_interpolation("bicubic", channels=1, scale=2)
    assert isinstance(built, Bicubic)
    assert (built.polynomial, built.a) == ("keys", -0.5)


def test_an_unknown_name_is_rejected_with_the_allowed_names():
    with pytest.raises(ValueError, match="interpolation=lanczos") as refusal:
        build_interpolation("lanczos", channels=1, scale=2)  # pyright: ignore[reportArgumentType]
    assert all(name in str(refusal.value) for name in typing.get_args(Interpolation))
