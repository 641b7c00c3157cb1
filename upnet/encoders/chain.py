"""Convolutions in a row on one grid, each with its own width and kernel."""

from collections.abc import Sequence

from torch import Tensor, nn

from upnet.blocks.base import Activation, same_padding
from upnet.blocks.base import activation as make_activation
from upnet.encoders.base import BlockFactory, Encoder
from upnet.site import Site
from upnet.utils.receptive_field import Window
from upnet.utils.seeding import apart


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
        for number, (entry, width, kernel_size) in enumerate(zip(entries, layers, kernel_sizes, strict=True)):
            with apart(f"layer {number}"):
                conv = nn.Conv2d(entry, width, kernel_size, padding=same_padding(kernel_size, "Chain"))
            stack += [conv, make_activation(activation, width)]
        self.layers = nn.Sequential(*stack)
        self._reach = sum(kernel_size // 2 for kernel_size in kernel_sizes)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Half a kernel for each convolution."""
        return (Window.around(self._reach),)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[-1], H, W), [])."""
        return self.layers(x), []
