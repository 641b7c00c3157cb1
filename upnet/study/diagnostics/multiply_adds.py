"""Number of multiply-adds of one output image."""

from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE, multiply_adds
from upnet.study.diagnostics.base import CostDiagnostic


class MultiplyAdds(CostDiagnostic):
    """Multiply-adds of one output image, 1280×720 by default.

    A transposed convolution is counted on its input grid and an interpolation by its taps, however it is implemented.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 1, partial(ConvStack, layers=[8], kernel_sizes=[3]), block=None, upsampler=None)
    >>> MultiplyAdds().compute_for_network(net, output=(64, 96)) / (64 * 96)
    150.0
    """

    name = "multiply_adds"
    heading = "multiply-adds"
    unit = "multiply-adds"
    better = "lower"
    formula = "Σ over convolutions of k²·C·O/groups · positions of the grid they act on, and Σ of interpolations' taps"
    source = (
        "for 1280×720: Ahn, Kang and Sohn, Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual "
        "Network, https://arxiv.org/abs/1803.08664"
    )

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT_SIZE) -> float:
        """The number for an output of (H, W) pixels."""
        return float(multiply_adds(net, output))
