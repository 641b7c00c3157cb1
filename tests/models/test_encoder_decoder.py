"""The family: published sizes, any input size, every operator in every preset that admits it."""

from typing import get_args

import pytest
import torch
from support import CONFIGS, ROOT, Compose
from torch import nn

from upnet.config import ConfigError, build
from upnet.models import EncoderDecoder
from upnet.models.decoder import DecoderLevel
from upnet.models.wiring import Interpolation, build_interpolation
from upnet.upsample import Bilinear, MaxUnpool, Nearest, Transposed, Upsampler

PRESETS = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
OPERATORS = sorted(path.stem for path in (CONFIGS / "model/upsampler").glob("*.yaml"))
# Eight channels: of four, blurred flat, the ReLUs may all be dead from the start.
SMALL = {
    "unet": ["model.encoder.width=8"],
    "segnet": ["model.encoder.width=8"],
    "edsr": ["model.encoder.width=4", "model.block.blocks=1"],
}
# What each preset can't do, and why the refusal says so: the expectation stands here, the mechanism in the code.
REFUSED = {("srcnn", operator): "no place for an upsampler" for operator in OPERATORS} | {
    (preset, "max_unpool"): "at the tail requires indices" for preset in ("edsr", "fsrcnn", "espcn")
}


def built(compose: Compose, *overrides: str) -> EncoderDecoder:
    net = build(compose(*overrides).model)
    assert isinstance(net, EncoderDecoder)
    return net


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["model=edsr"], 1_369_859),
        (["model=edsr", "scale=3"], 1_554_499),
        (["model=edsr", "scale=4"], 1_517_571),
        (["model=srcnn"], 57_281),
        (["model=espcn", "scale=3"], 22_729),
    ],
)
def test_parameter_counts_of_published_networks_equal_the_papers(
    compose: Compose, overrides: list[str], count: int
) -> None:
    assert sum(p.numel() for p in built(compose, *overrides).parameters()) == count


def test_fsrcnn_has_the_published_number_of_weights_without_biases_and_slopes(compose: Compose) -> None:
    net = built(compose, "model=fsrcnn")
    assert sum(p.numel() for p in net.parameters() if p.dim() == 4) == 12_464


@pytest.mark.rotating(per="preset")
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [(1, 1), (7, 12), (16, 9)])
def test_output_is_exactly_scale_times_the_input_size(
    compose: Compose, preset: str, scale: int, size: tuple[int, int]
) -> None:
    net = built(compose, f"model={preset}", f"scale={scale}", *SMALL.get(preset, []))
    with torch.no_grad():
        assert net(torch.rand(1, net.channels, *size)).shape == (1, net.channels, scale * size[0], scale * size[1])


@pytest.mark.rotating(per="operator")
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_operator_trains_in_every_preset_that_supports_it(compose: Compose, preset: str, operator: str) -> None:
    overrides = [f"model={preset}", f"model/upsampler={operator}", *SMALL.get(preset, [])]
    if (preset, operator) in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[preset, operator]):
            built(compose, *overrides)
        return
    torch.manual_seed(0)
    net = built(compose, *overrides)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    received: set[str] = set()
    for _ in range(3):
        lr, hr = torch.rand(2, net.channels, 9, 8), torch.rand(2, net.channels, 18, 16)
        (net(lr) - hr).abs().mean().backward()
        received |= {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
        optimizer.zero_grad()
    assert received == {name for name, _ in net.named_parameters()}


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "max_unpool"])
def test_every_operator_works_in_a_tail(compose: Compose, operator: str) -> None:
    net = built(compose, "model=espcn", f"model/upsampler={operator}", "scale=3")
    assert net(torch.rand(1, 1, 5, 6)).shape == (1, 1, 15, 18)


def test_a_list_gives_one_operator_per_place_from_coarse_to_fine(compose: Compose) -> None:
    config = compose("model=unet", "model.encoder.width=4", "model.input=lr")
    nodes = [
        {"_target_": f"upnet.upsample.{name}", "_partial_": True} for name in ("MaxUnpool", "Bilinear", "Transposed")
    ]
    config.model.upsampler = nodes
    net = build(config.model)
    kinds = [type(module) for module in net.modules() if isinstance(module, Upsampler)]
    assert kinds[:3] == [MaxUnpool, Bilinear, Transposed]
    config.model.upsampler = nodes[:2]
    with pytest.raises(ConfigError, match=r"2 upsamplers for 3 places.*level 1, level 0, the tail"):
        build(config.model)


def test_steps_of_a_tail_multiply_to_the_scale(compose: Compose) -> None:
    for scale, factors in ((4, [2, 2]), (6, [2, 3]), (5, [5])):
        net = built(compose, "model=edsr", *SMALL["edsr"], f"scale={scale}")
        assert [up.scale for up in net.tail.upsamplers if isinstance(up, Upsampler)] == factors
    single = built(compose, "model=edsr", *SMALL["edsr"], "scale=4", "model.tail.upsampling=single_step")
    assert [up.scale for up in single.tail.upsamplers if isinstance(up, Upsampler)] == [4]


@pytest.mark.parametrize("name", get_args(Interpolation))
def test_the_residual_is_the_interpolated_input(compose: Compose, name: Interpolation) -> None:
    net = built(compose, "model.encoder.width=4", f"model.residual={name}")
    for parameter in net.tail.parameters():
        nn.init.zeros_(parameter)
    lr = torch.rand(1, 3, 6, 7)
    torch.testing.assert_close(net(lr), build_interpolation(name, 3, 2).upsample_full(lr))


def test_without_residual_the_input_is_not_added(compose: Compose) -> None:
    net = built(compose, "model.encoder.width=4", "model.residual=none")
    for parameter in net.tail.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(net(torch.rand(1, 3, 6, 7)), torch.full((1, 3, 12, 14), 0.5))


def test_without_skips_the_decoder_gets_no_encoder_features(compose: Compose) -> None:
    net = built(compose, "model=segnet", "model.encoder.width=4")
    assert net.decoder is not None
    seen = []
    for level in net.decoder.levels.values():
        assert isinstance(level, DecoderLevel)
        level.upsampler.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1].skip))
    net(torch.rand(1, 3, 6, 6))
    assert seen == [None, None]


def test_max_unpool_after_a_strided_encoder_is_rejected_with_a_cure(compose: Compose) -> None:
    with pytest.raises(ConfigError, match=r"MaxUnpool at level 1 requires indices.*model/encoder=max_pool"):
        built(compose, "model/encoder=strided_conv", "model/upsampler=max_unpool")


def test_max_unpool_in_the_tail_is_rejected_with_a_cure(compose: Compose) -> None:
    with pytest.raises(ConfigError, match=r"MaxUnpool at the tail requires indices.*model.input=interpolated"):
        built(compose, "model.input=lr", "model/upsampler=max_unpool")


def test_a_network_without_an_upsampler_for_its_places_is_rejected(compose: Compose) -> None:
    with pytest.raises(ConfigError, match=r"upsampler=null.*level 1, level 0"):
        built(compose, "model.upsampler=null")


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize("operator", OPERATORS)
def test_output_is_float32_under_bf16_autocast(compose: Compose, operator: str) -> None:
    net = built(compose, "model.encoder.width=4", f"model/upsampler={operator}")
    lr = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        output = net(lr)
    assert output.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(output, net(lr), atol=0.03, rtol=0)


@pytest.mark.rotating(per=None)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_network_compiles_without_graph_breaks_for_every_operator(compose: Compose, operator: str) -> None:
    net = built(compose, "model.encoder.width=4", "model.encoder.depth=1", f"model/upsampler={operator}")
    lr = torch.rand(2, 3, 7, 8)
    # The graph without the compiled backward pass: test_laws.py compares that for each operator alone.
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(lr), net(lr))
    torch.compiler.reset()


def test_encoder_decoder_can_be_built_without_a_config() -> None:
    from functools import partial

    from upnet.blocks import ConvBlock
    from upnet.encoders import MaxPoolEncoder

    net = EncoderDecoder(
        scale=2, channels=3, encoder=partial(MaxPoolEncoder, width=4, depth=1), block=ConvBlock, upsampler=Nearest
    )
    assert net(torch.rand(1, 3, 5, 5)).shape == (1, 3, 10, 10)


def test_presets_have_no_python_module() -> None:
    modules = {path.stem for path in (ROOT / "upnet/models").glob("*.py")}
    assert not modules & set(PRESETS)
