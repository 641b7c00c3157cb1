"""The body of EDSR: residual blocks in a row, a convolution, and one long shortcut around them."""

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor, nn

from upnet.blocks.base import Activation, Block, same_padding
from upnet.blocks.residual import Residual
from upnet.utils.seeding import apart


class ResidualGroup(Block):
    """x + conv(blocks(x)): `blocks` residual blocks and a convolution, with a shortcut around all of them.

    Where the channels change, a 1×1 convolution in front changes them.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution",
    https://arxiv.org/abs/1707.02921
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: Annotated[int, Ge(1)] = 16,
        kernel_size: Annotated[int, Ge(1)] = 3,
        activation: Activation = "relu",
        residual_scale: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__(in_channels, out_channels)
        if blocks < 1:
            raise ValueError(f"ResidualGroup: blocks counts residual blocks and starts at 1; got {blocks}")
        padding = same_padding(kernel_size, "ResidualGroup")
        with apart("entry"):
            self.entry = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        self.blocks = nn.Sequential()
        for number in range(blocks):
            with apart(f"block {number}"):
                self.blocks.append(Residual(out_channels, out_channels, kernel_size, activation, residual_scale))
        with apart("exit"):
            self.exit = nn.Conv2d(out_channels, out_channels, kernel_size, padding=padding)
        self._receptive_radius = (2 * blocks + 1) * padding

    @property
    def receptive_radius(self) -> int:
        """Half a kernel for each convolution: two in each block, and the last."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        x = self.entry(x)
        return x + self.exit(self.blocks(x))
