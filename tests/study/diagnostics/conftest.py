"""Networks with known behaviour, and noise images."""

from collections.abc import Callable

import pytest
import torch
from support import Compose
from torch import Tensor, nn

from upnet.config import build
from upnet.models import EncoderDecoder

Network = Callable[..., EncoderDecoder]
"""network("model=edsr", "scale=3"): a network with random weights, in evaluation mode."""


@pytest.fixture
def network(compose: Compose) -> Network:
    """Build a network from a preset and overrides."""

    def make(*overrides: str) -> EncoderDecoder:
        torch.manual_seed(0)
        net = build(compose(*overrides).model)
        assert isinstance(net, EncoderDecoder)
        return net.eval().requires_grad_(False)

    return make


@pytest.fixture
def bicubic(network: Network) -> Network:
    """Build a network whose output convolution is zero: its output is torch's bicubic interpolation, a = −0.75."""

    def make(*overrides: str) -> EncoderDecoder:
        net = network(
            "model=edsr", "model.encoder.width=4", "model.block.blocks=1", "model.residual=bicubic", *overrides
        )
        assert isinstance(net.tail.output, nn.Conv2d)
        for parameter in net.tail.output.parameters():
            nn.init.zeros_(parameter)
        return net

    return make


@pytest.fixture
def noise() -> Tensor:
    """A plane of white noise around grey with a standard deviation of 0.1, (1, 192, 216) float64."""
    generator = torch.Generator().manual_seed(0)
    return 0.5 + 0.1 * torch.randn(1, 192, 216, generator=generator, dtype=torch.float64)
