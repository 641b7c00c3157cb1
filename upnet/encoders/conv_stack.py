"""An encoder of depth 0: a sequence of convolutions, each with its own width and kernel size."""

from collections.abc import Sequence

from torch import Tensor, nn

from upnet.blocks.base import Activation, same_padding
from upnet.blocks.base import activation as make_activation
from upnet.encoders.base import BlockFactory, Encoder
from upnet.site import Site
from upnet.utils.errors import UserError
from upnet.utils.receptive_field import ReceptiveField
from upnet.utils.seeding import named_rng


class ConvStack(Encoder):
    """The feature extractor of SRCNN, ESPCN and FSRCNN: depth 0, without blocks.

    layers:       the width of each convolution.
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
        modules: list[nn.Module] = []
        in_channels = (channels, *layers[:-1])
        for number, (in_width, width, kernel_size) in enumerate(zip(in_channels, layers, kernel_sizes, strict=True)):
            with named_rng(f"layer {number}"):
                padding = same_padding(kernel_size, "ConvStack", "kernel_sizes")
                conv = nn.Conv2d(in_width, width, kernel_size, padding=padding)
            modules += [conv, make_activation(activation, width)]
        self.layers = nn.Sequential(*modules)
        self._receptive_radius = sum(kernel_size // 2 for kernel_size in kernel_sizes)

    @property
    def receptive_fields(self) -> tuple[ReceptiveField, ...]:
        """Half a kernel per convolution."""
        return (ReceptiveField.of_radius(self._receptive_radius),)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Site]]:
        """(N, channels, H, W) -> ((N, widths[0], H, W), [])."""
        return self.layers(x), []
