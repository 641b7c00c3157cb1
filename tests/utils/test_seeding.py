"""Initial weights depend only on the seed and on the name of their module."""

from functools import partial

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from support import CONFIGS, Compose
from torch import nn

from upnet.blocks import ConvBlock
from upnet.config import build
from upnet.encoders import StridedConvEncoder
from upnet.models import Tail
from upnet.models.decoder import Decoder
from upnet.upsample import Nearest, Transposed
from upnet.utils.seeding import fresh_rng, named_rng


@pytest.fixture
def parts(compose: Compose):
    """The initial weights of a network, by the module they belong to: parts("model.skip=false", seed=1)."""

    def initial_weights(*overrides: str, seed: int = 0) -> dict[str, dict[str, nn.Parameter]]:
        torch.manual_seed(seed)
        net = build(compose(*overrides).model)
        assert isinstance(net, nn.Module)
        modules = {name: dict(module.named_parameters(recurse=False)) for name, module in net.named_modules()}
        return {name: parameters for name, parameters in modules.items() if parameters}

    return initial_weights


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
        (("model/encoder=strided_conv",), ("model/encoder=strided_conv", "model/upsampler=decomposed_transposed")),
        (("model=fsrcnn",), ("model=fsrcnn", "model/upsampler=nearest")),
    ],
    ids=["operator", "skip", "residual", "edsr", "resnet", "strided", "chain"],
)
def test_replacing_a_component_keeps_the_initial_weights_of_all_others(parts, one, other) -> None:
    first, second, third = parts(*one), parts(*other), parts(*other, seed=1)
    shared = common(first, second)
    assert {name.split(".")[0] for name in shared} >= {"encoder"}
    for name in shared:
        assert all(torch.equal(a, b) for a, b in zip(first[name].values(), second[name].values(), strict=True)), name
        if "weight" in first[name] and first[name]["weight"].std() > 0:
            assert not torch.equal(first[name]["weight"], third[name]["weight"]), name


def test_equal_layers_of_a_network_have_different_weights(parts) -> None:
    weights = [own["weight"] for name, own in parts("model=edsr").items() if name.endswith(".first")]
    assert len(weights) == 16
    assert not any(torch.equal(a, b) for number, a in enumerate(weights) for b in weights[:number])


def test_two_networks_have_different_weights() -> None:
    torch.manual_seed(0)
    numbers = []
    for _ in range(2):
        with fresh_rng("net"):
            numbers.append(torch.rand(3))
    assert not torch.equal(*numbers)


def test_named_rng_depends_on_seed_and_name_only() -> None:
    def streams(seed: int, before: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        with fresh_rng("net"):
            torch.rand(before)
            with named_rng("a"):
                one = torch.rand(2)
                with named_rng("b"):
                    inner = torch.rand(2)
                rest = torch.rand(2)
            with named_rng("b"):
                return [one, inner, rest, torch.rand(2)]

    first, shifted, other = streams(0, 0), streams(0, 5), streams(1, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, shifted, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert len({tuple(one.tolist()) for one in first}) == 4

    def outside(parts: int) -> torch.Tensor:
        torch.manual_seed(3)
        with fresh_rng("net"):
            for part in range(parts):
                with named_rng(f"part {part}"):
                    torch.rand(9)
            return torch.rand(4)

    assert torch.equal(outside(2), outside(0))


ENCODERS = {path.stem: instantiate(OmegaConf.load(path)) for path in (CONFIGS / "model/encoder").glob("*.yaml")}
BLOCKS = {path.stem: instantiate(OmegaConf.load(path)) for path in (CONFIGS / "model/block").glob("*.yaml")}
ALONE = {
    **{stem: partial(make, in_channels=8, out_channels=6) for stem, make in BLOCKS.items()},
    **{f"{stem} encoder": partial(make, channels=3, block=ConvBlock) for stem, make in ENCODERS.items()},
    "tail": partial(Tail, 8, 3, 2, Transposed),
    "decoder": lambda: Decoder(StridedConvEncoder(3, ConvBlock, width=4), ConvBlock, [Nearest, Nearest], skip=True),
}


@pytest.mark.parametrize("make", ALONE.values(), ids=ALONE)
def test_components_built_twice_have_different_weights_determined_by_the_seed(make) -> None:
    torch.manual_seed(0)
    first, second = make(), make()
    torch.manual_seed(0)
    again = make()
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
        if weight.is_floating_point() and weight.numel() > 1 and weight.std() > 0:
            assert not torch.equal(weight, second.state_dict()[name]), name


def test_layers_of_a_single_component_have_different_weights() -> None:
    torch.manual_seed(0)
    weights = ConvBlock(8, 8).state_dict()
    assert not torch.equal(weights["layers.0.weight"], weights["layers.2.weight"])


def test_error_ends_the_context_of_an_rng() -> None:
    with pytest.raises(ValueError, match="odd"), fresh_rng("net"):
        ConvBlock(8, 8, kernel_size=2)
    first, second = (ConvBlock(8, 8).state_dict()["layers.0.weight"] for _ in range(2))
    assert not torch.equal(first, second)


def test_weights_have_the_standard_deviation_of_torch_defaults(parts) -> None:
    for name, parameters in parts("model=edsr").items():
        weight = parameters["weight"]
        if name.endswith((".first", ".exit", ".stem")):
            fan_in = weight[0].numel()
            assert weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1), name
