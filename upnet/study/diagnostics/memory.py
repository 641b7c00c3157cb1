"""How much memory a picture takes."""

import math

import torch

from upnet.inference.memory import peak
from upnet.inference.tensor import upscale_tensor
from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT
from upnet.study.diagnostics.base import CostDiagnostic


class PeakMemory(CostDiagnostic):
    """The most memory in use while one output picture is made, 1280×720 where nothing else is said; without weights.

    On a GPU it is measured, by torch's allocator. On a CPU it is followed rather than measured, for a process shares
    its memory with what it kept from before, and the most it ever had can't be set back: the shapes of a pass are
    computed, with what is alive after each operation and what a convolution lays out beside its operands. It is what
    the choice of tiles goes by. nan where the shapes depend on values and can't be followed.
    """

    name = "peak_memory"
    heading = "peak memory"
    unit = "MiB"
    better = "lower"
    formula = "max over operations of Σ bytes of living tensors, input and output among them; float32, whole, batch 1"
    source = "torch.cuda.max_memory_allocated, https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management"

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT) -> float:
        """In MiB, for one output of that size in pixels, rows first."""
        device = next(net.parameters()).device
        shape = (net.channels, output[0] // net.scale, output[1] // net.scale)
        if device.type != "cuda":
            found = peak(net, (1, *shape))
            return math.nan if found is None else found / 2**20
        upscale_tensor(net, torch.zeros(shape, device=device), tile="none")  # operators keep matrices for a size
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        upscale_tensor(net, torch.zeros(shape, device=device), tile="none")
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
