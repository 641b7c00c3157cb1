"""The contract of a block: what a stage is made of."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor, nn

Activation = Literal["relu", "prelu", "leaky_relu", "gelu", "tanh", "none"]


def activation(name: Activation, channels: int) -> nn.Module:
    """One activation for (N, channels, H, W). Raises ValueError for an unknown name."""
    match name:
        case "relu":
            return nn.ReLU(inplace=True)
        case "prelu":
            return nn.PReLU(channels)
        case "leaky_relu":
            return nn.LeakyReLU(0.1, inplace=True)
        case "gelu":
            return nn.GELU()
        case "tanh":
            return nn.Tanh()
        case "none":
            return nn.Identity()
    raise ValueError(f"activation is relu, prelu, leaky_relu, gelu, tanh or none; got {name!r}")


def same_padding(kernel_size: int, owner: str) -> int:
    """The padding that keeps the size. Raises ValueError for an even kernel, which has no centre."""
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"{owner}: kernel_size must be odd to keep the size: 1, 3, 5, …; got {kernel_size}")
    return kernel_size // 2


class Block(nn.Module, ABC):
    """(N, in_channels, H, W) -> (N, out_channels, H, W), the size unchanged.

    Raises ValueError for channels below 1.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if min(in_channels, out_channels) < 1:
            name = type(self).__name__
            raise ValueError(f"{name}: channels start at 1; got {in_channels} in and {out_channels} out")

    @property
    def receptive_radius(self) -> int | None:
        """How many pixels an output pixel looks to each side; None, if nothing else is said, for unknown or all.

        Where it is None no picture can be cut into tiles.
        """
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
