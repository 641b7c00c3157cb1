"""A sequence of convolutions, each followed by an activation."""

from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from upnet.blocks.base import Activation, Block, same_padding
from upnet.blocks.base import activation as make_activation
from upnet.utils.errors import UserError
from upnet.utils.seeding import named_rng


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
        padding = same_padding(kernel_size, "ConvBlock")
        modules: list[nn.Module] = []
        for layer in range(layers):
            width = in_channels if layer == 0 else out_channels
            with named_rng(f"layer {layer}"):
                modules.append(nn.Conv2d(width, out_channels, kernel_size, padding=padding))
            modules.append(make_activation(activation, out_channels))
        self.layers = nn.Sequential(*modules)
        self._receptive_radius = layers * padding

    @property
    def receptive_radius(self) -> int:
        """Half a kernel per convolution."""
        return self._receptive_radius

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        return self.layers(x)
