"""Initial weights depend on the seed and on a part's own name."""

import pytest
import torch
from support import Compose
from torch import nn

from upnet.config import build
from upnet.drawing import anew, apart


@pytest.fixture
def parts(compose: Compose):
    """The initial weights of a network, by the module they belong to: parts("model.skip=false", seed=1)."""

    def drawn(*overrides: str, seed: int = 0) -> dict[str, dict[str, nn.Parameter]]:
        torch.manual_seed(seed)
        net = build(compose(*overrides).model)
        assert isinstance(net, nn.Module)
        own = {name: dict(module.named_parameters(recurse=False)) for name, module in net.named_modules()}
        return {name: parameters for name, parameters in own.items() if parameters}

    return drawn


def common(one, other) -> list[str]:
    """The modules of equal names whose parameters have equal shapes."""
    return [
        name
        for name in one.keys() & other.keys()
        if [p.shape for p in one[name].values()] == [p.shape for p in other[name].values()]
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("model/upsampler=transposed",), ("model/upsampler=carafe",)),
        (("model/upsampler=nearest",), ("model/upsampler=pixel_shuffle", "model.skip=false")),
        (("model/block=residual",), ("model/block=residual", "model/upsampler=bilinear")),
        (("model=edsr",), ("model=edsr", "model/upsampler=resize_conv", "model.block.blocks=3")),
        (("model/encoder=resnet",), ("model/encoder=resnet", "model/upsampler=dysample")),
        (("model/encoder=strided",), ("model/encoder=strided", "model/upsampler=decomposed_transposed")),
        (("model=fsrcnn",), ("model=fsrcnn", "model/upsampler=nearest")),
    ],
    ids=["operator", "skip", "residual", "edsr", "resnet", "strided", "chain"],
)
def test_exchanging_a_part_leaves_the_initial_weights_of_all_others(parts, one, other) -> None:
    first, second, third = parts(*one), parts(*other), parts(*other, seed=1)
    shared = common(first, second)
    assert {name.split(".")[0] for name in shared} >= {"encoder"}
    for name in shared:
        assert all(torch.equal(a, b) for a, b in zip(first[name].values(), second[name].values(), strict=True)), name
        if "weight" in first[name] and first[name]["weight"].std() > 0:
            assert not torch.equal(first[name]["weight"], third[name]["weight"]), name


def test_equal_layers_of_one_network_are_drawn_differently(parts) -> None:
    weights = [own["weight"] for name, own in parts("model=edsr").items() if name.endswith(".first")]
    assert len(weights) == 16
    assert not any(torch.equal(a, b) for number, a in enumerate(weights) for b in weights[:number])


def test_two_networks_in_a_row_are_not_the_same() -> None:
    torch.manual_seed(0)
    drawn = []
    for _ in range(2):
        with anew("net"):
            drawn.append(torch.rand(3))
    assert not torch.equal(*drawn)


def test_a_stream_apart_depends_on_seed_and_name_and_leaves_the_one_outside() -> None:
    def streams(seed: int, before: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        torch.rand(before)
        with apart("a"):
            one = torch.rand(2)
            with apart("b"):
                inner = torch.rand(2)
            rest = torch.rand(2)
        with apart("b"):
            return [one, inner, rest, torch.rand(2)]

    first, shifted, other = streams(0, 0), streams(0, 5), streams(1, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, shifted, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert len({tuple(one.tolist()) for one in first}) == 4
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with apart("c"):
        torch.rand(9)
    assert torch.equal(torch.rand(4), expected)


def test_weights_are_spread_as_torch_spreads_them(parts) -> None:
    for name, own in parts("model=edsr").items():
        weight = own["weight"]
        if name.endswith((".first", ".exit", ".stem")):
            fan_in = weight[0].numel()
            assert weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1), name
