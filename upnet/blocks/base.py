"""The base class of blocks, and the activations, paddings and sequences of convolutions that encoders use as well."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from upnet.utils.errors import UserError
from upnet.utils.seeding import named_rng

Activation = Literal["relu", "prelu", "leaky_relu", "gelu", "tanh", "none"]


def make_activation(name: Activation, channels: int) -> nn.Module:
    """An activation for (N, channels, H, W). Raises UserError for an unknown name.

    >>> make_activation("prelu", 8)
    PReLU(num_parameters=8)
    """
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
    raise UserError(
        "is unknown", setting="activation", value=name, allowed="relu, prelu, leaky_relu, gelu, tanh or none"
    )


def same_padding(kernel_size: int, owner: str, setting: str = "kernel_size") -> int:
    """The padding with which a convolution keeps the image size. Raises UserError for an even kernel.

    owner, setting: the class and its argument, for the error.

    >>> same_padding(5, "ConvBlock")
    2
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UserError(
            f"{owner} needs an odd kernel, which keeps the image size",
            setting=setting,
            value=kernel_size,
            allowed="1, 3, 5, …",
        )
    return kernel_size // 2


def make_convolutions(
    widths: Sequence[int], kernel_sizes: Sequence[int], activation: Activation, owner: str, setting: str = "kernel_size"
) -> nn.Sequential:
    """Convolutions, each followed by an activation: (N, widths[0], H, W) -> (N, widths[-1], H, W).

    widths:         the input channels of the first convolution, then the output channels of each.
    kernel_sizes:   of each convolution, odd.
    owner, setting: the class and its argument, for the error.

    Raises UserError for an even kernel.

    >>> len(make_convolutions([3, 8, 8], [3, 3], "relu", "ConvBlock"))
    4
    """
    modules: list[nn.Module] = []
    for layer, (in_width, width, kernel_size) in enumerate(zip(widths[:-1], widths[1:], kernel_sizes, strict=True)):
        padding = same_padding(kernel_size, owner, setting)
        with named_rng(f"layer {layer}"):
            modules.append(nn.Conv2d(in_width, width, kernel_size, padding=padding))
        modules.append(make_activation(activation, width))
    return nn.Sequential(*modules)


class Block(nn.Module, ABC):
    """A block of layers that keeps the image size: (N, in_channels, H, W) -> (N, out_channels, H, W).

    Raises UserError for in_channels or out_channels below 1.

    A subclass defines forward() and, if its receptive field is bounded, receptive_radius:

    >>> class Blur(Block):
    ...     receptive_radius = 1
    ...     def forward(self, x):
    ...         return nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        for setting, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            if value < 1:
                raise UserError(
                    f"{type(self).__name__} needs at least one channel", setting=setting, value=value, allowed="1, 2, …"
                )

    @property
    def receptive_radius(self) -> int | None:
        """Largest distance, in pixels of one axis, between an output pixel and an input pixel that it depends on.

        None, the default, means unknown or unbounded: the network then cannot process an image in tiles.
        """
        return None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
