"""How much there is to compute."""

from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT, multiply_adds
from upnet.study.diagnostics.base import CostDiagnostic


class MultiplyAdds(CostDiagnostic):
    """True multiply-adds of one output picture, 1280×720 where nothing else is said.

    A transposed convolution counts on its input grid, and an interpolation its taps, however they are computed.
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

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT) -> float:
        """The number for one output of that size in pixels, rows first."""
        return float(multiply_adds(net, output))
