"""The body of EDSR: residual blocks and a convolution, with one shortcut around all of them."""

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor, nn

from upnet.blocks.base import Activation, Block, same_padding
from upnet.blocks.residual import ResidualBlock
from upnet.utils.errors import UserError
from upnet.utils.seeding import named_rng


class ResidualGroup(Block):
    """x + conv(residual_blocks(x)).

    blocks: the number of residual blocks, at least 1.

    If in_channels and out_channels differ, a 1×1 convolution at the entry maps x to out_channels.

    Source: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution",
    https://arxiv.org/abs/1707.02921

    >>> import torch
    >>> ResidualGroup(3, 8, blocks=2)(torch.rand(1, 3, 5, 6)).shape
    torch.Size([1, 8, 5, 6])
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
            raise UserError(
                "ResidualGroup needs at least one residual block", setting="blocks", value=blocks, allowed="1, 2, …"
            )
        padding = same_padding(kernel_size, "ResidualGroup")
        with named_rng("entry"):
            self.entry = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)
        self.blocks = nn.Sequential()
        for number in range(blocks):
            with named_rng(f"block {number}"):
                self.blocks.append(ResidualBlock(out_channels, out_channels, kernel_size, activation, residual_scale))
        with named_rng("exit"):
            self.exit = nn.Conv2d(out_channels, out_channels, kernel_size, padding=padding)
        self._receptive_radius = (2 * blocks + 1) * padding

    @property
    def receptive_radius(self) -> int:
        """kernel_size // 2 for each convolution: two per residual block, and the last one."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        x = self.entry(x)
        return x + self.exit(self.blocks(x))
