"""Convolutions in a row, each with its activation."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from upnet.blocks.base import Activation, Block, same_padding
from upnet.blocks.base import activation as make_activation
from upnet.utils.seeding import apart


class Conv(Block):
    """`layers` convolutions, each followed by its activation: the block of U-Net, without normalisation.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    https://arxiv.org/abs/1505.04597
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        layers: Annotated[int, Ge(1)] = 2,
        kernel_size: Annotated[int, Ge(1)] = 3,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(in_channels, out_channels)
        if layers < 1:
            raise ValueError(f"Conv: layers counts convolutions and starts at 1; got {layers}")
        padding = same_padding(kernel_size, "Conv")
        stack: list[nn.Module] = []
        for layer in range(layers):
            width = in_channels if layer == 0 else out_channels
            with apart(f"layer {layer}"):
                stack.append(nn.Conv2d(width, out_channels, kernel_size, padding=padding))
            stack.append(make_activation(activation, out_channels))
        self.layers = nn.Sequential(*stack)
        self._receptive_radius = layers * padding

    @property
    def receptive_radius(self) -> int:
        """Half a kernel for each convolution."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        return self.layers(x)
