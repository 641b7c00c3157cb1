"""The residual block of EDSR."""

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor, nn

from upnet.blocks.base import Activation, Block, make_activation, same_padding
from upnet.utils.seeding import named_rng


class ResidualBlock(Block):
    """x + residual_scale · conv(activation(conv(x))), without normalisation and without an activation after the sum.

    The second convolution is initialised with zeros, so that the block starts as the identity. If in_channels and
    out_channels differ, a 1×1 convolution replaces the identity shortcut.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution",
    https://arxiv.org/abs/1707.02921

    >>> import torch
    >>> x = torch.rand(1, 8, 5, 6)
    >>> torch.equal(ResidualBlock(8, 8)(x), x)
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Annotated[int, Ge(1)] = 3,
        activation: Activation = "relu",
        residual_scale: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels)
        padding = same_padding(kernel_size, "ResidualBlock")
        self.residual_scale = residual_scale
        with named_rng("first"):
            self.first = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
        self.activation = make_activation(activation, out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, kernel_size, padding=padding)
        nn.init.zeros_(self.second.weight)
        if self.second.bias is not None:
            nn.init.zeros_(self.second.bias)
        with named_rng("shortcut"):
            same = in_channels == out_channels
            self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        self._receptive_radius = 2 * padding

    @property
    def receptive_radius(self) -> int:
        """kernel_size // 2 for each of the two convolutions."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        residual = self.second(self.activation(self.first(x)))
        if self.residual_scale != 1:
            residual = residual * self.residual_scale
        return self.shortcut(x) + residual
