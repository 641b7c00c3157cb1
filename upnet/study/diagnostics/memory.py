"""Peak memory of one output image."""

import math

import torch

from upnet.inference.memory import peak_bytes
from upnet.inference.tensor import upscale_tensor
from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE
from upnet.study.diagnostics.base import CostDiagnostic


class PeakMemory(CostDiagnostic):
    """The largest memory in use while one output image is computed, 1280×720 by default, without the weights.

    On a GPU torch's allocator measures it. On a CPU it is estimated from the shapes of all tensors of a pass, with the
    copies that convolutions make of their operands, because the peak memory of a process can't be reset. The choice of
    tiles uses the same estimate. NaN where shapes depend on values.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 1, partial(ConvStack, layers=[8], kernel_sizes=[3]), block=None, upsampler=None)
    >>> PeakMemory().compute_for_network(net, output=(64, 96)) > 0
    True
    """

    name = "peak_memory"
    heading = "peak memory"
    unit = "MiB"
    better = "lower"
    formula = (
        "max over operations of Σ bytes of live tensors, including input and output; float32, not tiled, batch size 1"
    )
    source = "torch.cuda.max_memory_allocated, https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management"

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT_SIZE) -> float:
        """In MiB for an output of (H, W) pixels."""
        device = next(net.parameters()).device
        shape = (net.channels, output[0] // net.scale, output[1] // net.scale)
        if device.type != "cuda":
            estimate = peak_bytes(net, (1, *shape))
            return math.nan if estimate is None else estimate / 2**20
        upscale_tensor(net, torch.zeros(shape, device=device), tile="none")  # operators cache matrices for each size
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        upscale_tensor(net, torch.zeros(shape, device=device), tile="none")
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
