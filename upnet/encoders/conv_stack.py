"""An encoder of depth 0: a sequence of convolutions, each with its own width and kernel size."""

from collections.abc import Sequence

from torch import Tensor

from upnet.blocks.base import Activation, make_convolutions
from upnet.encoders.base import BlockFactory, Encoder
from upnet.site import Site
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import ReceptiveField


class ConvStack(Encoder):
    """The feature extractor of SRCNN, ESPCN and FSRCNN: depth 0, without blocks.

    block:        ignored; every encoder is called with a block.
    layers:       the output channels of each convolution.
    kernel_sizes: the kernel size of each convolution, odd.
    activation:   after each convolution.

    Raises UserError if the two lists are empty or of different lengths, or if a kernel size is even.

    >>> import torch
    >>> features, sites = ConvStack(1, layers=[64, 32], kernel_sizes=[9, 5])(torch.rand(1, 1, 7, 6))
    >>> tuple(features.shape), sites
    ((1, 32, 7, 6), [])
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
        if not layers or min(layers) < 1:
            raise UserError("ConvStack needs a width of at least 1 per convolution", setting="layers", value=layers)
        if len(layers) != len(kernel_sizes):
            raise UserError(
                f"ConvStack needs one kernel size per convolution, and layers has {len(layers)} convolutions",
                setting="kernel_sizes",
                value=kernel_sizes,
            )
        self.widths = (layers[-1],)
        self.layers = make_convolutions((channels, *layers), kernel_sizes, activation, "ConvStack", "kernel_sizes")
        self._receptive_radius = sum(kernel_size // 2 for kernel_size in kernel_sizes)

    @property
    def receptive_fields(self) -> tuple[ReceptiveField, ...]:
        """The radius of level 0: kernel_size // 2 for each convolution."""
        return (ReceptiveField.of_radius(self._receptive_radius),)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[0], H, W), [])."""
        return self.layers(x), []
