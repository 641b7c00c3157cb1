"""The residual block of EDSR."""

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor, nn

from upnet.blocks.base import Activation, Block, same_padding
from upnet.blocks.base import activation as make_activation
from upnet.utils.seeding import apart


class Residual(Block):
    """x + residual_scale · conv(activation(conv(x))), without normalisation and without an activation behind the sum.

    The second convolution starts at zero, so that every block starts as the identity. Where the channels change, a
    1×1 convolution stands in for x.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution",
    https://arxiv.org/abs/1707.02921
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
        padding = same_padding(kernel_size, "Residual")
        self.residual_scale = residual_scale
        with apart("first"):
            self.first = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
        self.activation = make_activation(activation, out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, kernel_size, padding=padding)
        nn.init.zeros_(self.second.weight)
        if self.second.bias is not None:
            nn.init.zeros_(self.second.bias)
        same = in_channels == out_channels
        with apart("shortcut"):
            self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        self._receptive_radius = 2 * padding

    @property
    def receptive_radius(self) -> int:
        """Half a kernel for each of the two convolutions."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        change = self.second(self.activation(self.first(x)))
        if self.residual_scale != 1:
            change = change * self.residual_scale
        return self.shortcut(x) + change
