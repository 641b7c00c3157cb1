"""Multiply-adds as published, and operators taken at their word."""

import pytest
import torch
from support import Compose

from upnet.config import build
from upnet.models.complexity import multiply_adds


@pytest.mark.parametrize(
    ("overrides", "giga"),
    [
        (["model=edsr"], 316.2),
        (["model=edsr", "scale=3"], 160.3),
        (["model=edsr", "scale=4"], 114.2),
        (["model=srcnn"], 52.7),
        (["model=espcn"], 4.88),
        (["model=fsrcnn"], 2.87),
    ],
)
def test_multiply_adds_of_published_networks_equal_the_papers(
    compose: Compose, overrides: list[str], giga: float
) -> None:
    net = build(compose(*overrides).model)
    assert multiply_adds(net) / 1e9 == pytest.approx(giga, rel=0.005)


def test_multiply_adds_of_interpolations_do_not_depend_on_the_implementation(compose: Compose) -> None:
    small = ["model=edsr", "model.encoder.width=8", "model.block.blocks=1"]
    size = (64, 64)
    nearest, bilinear, bicubic = (
        multiply_adds(build(compose(*small, f"model/upsampler={name}").model), size)
        for name in ("nearest", "bilinear", "bicubic")
    )
    values = 8 * (64 * 32 + 64 * 64)  # channels × (after the rows, after the columns)
    assert bilinear - nearest == 2 * values
    assert bicubic - nearest == 4 * values


def test_counting_does_not_change_the_network(compose: Compose) -> None:
    net = build(compose("model.encoder.width=4", "model/upsampler=bicubic").model)
    lr = torch.rand(1, 3, 8, 8)
    before = net(lr)
    multiply_adds(net, (16, 16))
    assert torch.equal(net(lr), before)
