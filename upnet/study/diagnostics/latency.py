"""Median latency of one output image."""

import statistics
import time

import torch

from upnet.inference.tensor import upscale_tensor
from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE
from upnet.study.diagnostics.base import CostDiagnostic

WARM_UP_PASSES = 2
# Passes are repeated for this many seconds, within these limits.
SECONDS, MIN_PASSES, MAX_PASSES = 10, 3, 15


class Latency(CostDiagnostic):
    """The median time of one output image, 1280×720 by default, on the device and in the memory format of the network.

    In float32, not tiled, batch size 1, after two passes to warm up; a GPU is synchronised. Values from different
    machines, devices or memory formats can't be compared.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 1, partial(ConvStack, layers=[8], kernel_sizes=[3]), block=None, upsampler=None)
    >>> Latency().compute_for_network(net, output=(32, 32)) > 0
    True
    """

    name = "latency_p50"
    heading = "latency, median"
    unit = "ms"
    better = "lower"
    formula = "median wall-clock time of a forward pass; passes are repeated for 10 s, at least 3 and at most 15 times"
    source = (
        "median after warm-up, as in torch.utils.benchmark, https://docs.pytorch.org/docs/stable/benchmark_utils.html"
    )

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT_SIZE) -> float:
        """In milliseconds for an output of (H, W) pixels."""
        device = next(net.parameters()).device
        lr = torch.rand(net.channels, output[0] // net.scale, output[1] // net.scale, device=device)
        for _ in range(WARM_UP_PASSES):
            _seconds(net, lr)
        times: list[float] = []
        while len(times) < MIN_PASSES or (sum(times) < SECONDS and len(times) < MAX_PASSES):
            times.append(_seconds(net, lr))
        return 1000 * statistics.median(times)


def _seconds(net: EncoderDecoder, lr: torch.Tensor) -> float:
    start = time.perf_counter()
    upscale_tensor(net, lr, tile="none")
    if lr.is_cuda:
        torch.cuda.synchronize(lr.device)
    return time.perf_counter() - start
