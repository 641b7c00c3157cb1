"""Every block keeps the size, changes the channels, and starts as it says."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from support import CONFIGS

from upnet.blocks import Block, ConvBlock, ResidualBlock, ResidualGroup

YAMLS = sorted((CONFIGS / "model/block").glob("*.yaml"))


@pytest.mark.parametrize("yaml", YAMLS, ids=lambda path: path.stem)
@pytest.mark.parametrize("channels", [(3, 8), (8, 8), (8, 5)])
def test_a_block_keeps_the_size_and_returns_out_channels(yaml: Path, channels: tuple[int, int]) -> None:
    block = instantiate(OmegaConf.load(yaml))(in_channels=channels[0], out_channels=channels[1])
    assert isinstance(block, Block)
    assert block(torch.rand(2, channels[0], 7, 10)).shape == (2, channels[1], 7, 10)


def test_a_residual_block_starts_as_the_identity() -> None:
    x = torch.randn(2, 6, 5, 5)
    assert torch.equal(ResidualBlock(6, 6)(x), x)


def test_a_residual_block_adds_its_scaled_branch() -> None:
    unscaled, half = ResidualBlock(4, 4), ResidualBlock(4, 4, residual_scale=0.5)
    torch.nn.init.normal_(unscaled.second.weight)
    half.load_state_dict(unscaled.state_dict())
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(half(x) - x, (unscaled(x) - x) / 2)


def test_a_residual_group_adds_its_input_to_its_body() -> None:
    group = ResidualGroup(4, 4, blocks=3)
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(group(x), x + group.exit(group.blocks(x)))


def test_a_conv_block_alternates_convolutions_and_activations() -> None:
    block = ConvBlock(3, 5, layers=2, kernel_size=3, activation="relu")
    first, _, second, _ = block.layers
    x = torch.randn(1, 3, 6, 6)
    torch.testing.assert_close(block(x), second(first(x).relu()).relu())


@pytest.mark.parametrize("yaml", YAMLS, ids=lambda path: path.stem)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_receptive_radius_of_a_block_is_exact(yaml: Path, kernel_size: int) -> None:
    torch.manual_seed(0)
    config = OmegaConf.load(yaml)
    sizes = {"kernel_size": kernel_size} | ({"blocks": 2} if "blocks" in config else {})
    block = instantiate(config, **sizes)(in_channels=3, out_channels=8).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    side = 2 * block.receptive_radius + 5
    x = torch.randn(1, 3, side, side, dtype=torch.float64)
    changed = x.clone()
    changed[..., side // 2, side // 2] += 100
    rows, cols = (block(changed) != block(x)).any(1)[0].nonzero().T
    for places in (rows, cols):
        assert (int(places.min()) - side // 2, int(places.max()) - side // 2) == (
            -block.receptive_radius,
            block.receptive_radius,
        )


def test_a_block_without_a_declared_radius_is_unbounded() -> None:
    class Silent(Block):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    assert Silent(1, 1).receptive_radius is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvBlock(3, 5, kernel_size=4), "kernel_size=4: .* odd kernel"),
        (lambda: ConvBlock(3, 5, layers=0), r"layers=0: .* Allowed: 1, 2"),
        (lambda: ConvBlock(0, 5), "in_channels=0: .* at least one channel"),
        (lambda: ConvBlock(3, 5, activation="swish"), "activation=swish: is unknown.*relu"),  # pyright: ignore[reportArgumentType]
        (lambda: ResidualGroup(3, 5, blocks=0), "blocks=0: .* at least one residual block"),
    ],
)
def test_invalid_settings_are_rejected(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
