"""Convolutions in a row on one grid, each with its own width and kernel."""

from collections.abc import Sequence

from torch import Tensor, nn

from upnet.blocks.activation import Activation, same_padding
from upnet.blocks.activation import activation as make_activation
from upnet.encoders.base import BlockFactory, Encoder
from upnet.site import Site


class Chain(Encoder):
    """The trunk of the small networks, SRCNN, ESPCN and FSRCNN: depth 0, and no block is asked for.

    layers:       the width of each convolution.
    kernel_sizes: the kernel of each, odd.
    activation:   behind each of them.

    Raises ValueError where the two lists differ in length, are empty, or a kernel is even.
    """

    def __init__(
        self,
        channels: int,
        block: BlockFactory | None = None,
        layers: Sequence[int] = (64, 32),
        kernel_sizes: Sequence[int] = (9, 5),
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        if not layers or len(layers) != len(kernel_sizes) or min(layers) < 1:
            raise ValueError(
                "Chain: layers and kernel_sizes give the width, 1 or more, and the kernel of each convolution, equally "
                f"many of both; got layers={list(layers)}, kernel_sizes={list(kernel_sizes)}"
            )
        self.widths = (layers[-1],)
        stack: list[nn.Module] = []
        entries = (channels, *layers[:-1])
        for entry, width, kernel_size in zip(entries, layers, kernel_sizes, strict=True):
            conv = nn.Conv2d(entry, width, kernel_size, padding=same_padding(kernel_size, "Chain"))
            stack += [conv, make_activation(activation, width)]
        self.layers = nn.Sequential(*stack)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[-1], H, W), [])."""
        return self.layers(x), []
