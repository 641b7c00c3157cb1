"""A sequence of convolutions, each followed by an activation."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from upnet.blocks.base import Activation, Block, make_convolutions
from upnet.utils.errors import UserError


class ConvBlock(Block):
    """`layers` convolutions, each followed by an activation: the block of U-Net, without normalisation.

    layers:      the number of convolutions, at least 1.
    kernel_size: of each convolution, odd.

    Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    https://arxiv.org/abs/1505.04597

    >>> import torch
    >>> ConvBlock(3, 8)(torch.rand(1, 3, 5, 6)).shape
    torch.Size([1, 8, 5, 6])
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
            raise UserError(
                "ConvBlock needs at least one convolution", setting="layers", value=layers, allowed="1, 2, …"
            )
        widths = (in_channels, *[out_channels] * layers)
        self.layers = make_convolutions(widths, [kernel_size] * layers, activation, "ConvBlock")
        self._receptive_radius = layers * (kernel_size // 2)

    @property
    def receptive_radius(self) -> int:
        """kernel_size // 2 for each convolution."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        return self.layers(x)
