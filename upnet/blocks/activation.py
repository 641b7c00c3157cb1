"""The activations a block may ask for."""

from typing import Literal

from torch import nn

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
