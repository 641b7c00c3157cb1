"""Number of trainable parameters."""

from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE, parameters
from upnet.study.diagnostics.base import CostDiagnostic


class Parameters(CostDiagnostic):
    """Number of trainable parameters, which does not depend on the size of the image.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 1, partial(ConvStack, layers=[8], kernel_sizes=[3]), block=None, upsampler=None)
    >>> Parameters().compute_for_network(net)
    153.0
    """

    name = "parameters"
    heading = "parameters"
    unit = "numbers"
    better = "lower"
    formula = "Σ over trainable tensors of the number of their values"
    source = (
        "as in Dong, Loy and Tang, Accelerating the Super-Resolution Convolutional Neural Network, "
        "https://arxiv.org/abs/1608.00367, and most papers since"
    )

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT_SIZE) -> float:
        """The number; the same for every output size."""
        return float(parameters(net))
