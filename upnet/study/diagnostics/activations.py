"""Number of values in the feature maps that convolutions write."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from upnet.models import EncoderDecoder
from upnet.models.complexity import OUTPUT_SIZE
from upnet.study.diagnostics.base import CostDiagnostic
from upnet.upsample import Upsampler


class Activations(CostDiagnostic):
    """Number of output values of all convolutions for one output image, 1280×720 by default.

    It indicates memory traffic, which often limits the speed more than arithmetic does. Convolutions inside operators
    without weights are an implementation detail and are not counted.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 1, partial(ConvStack, layers=[8], kernel_sizes=[3]), block=None, upsampler=None)
    >>> Activations().compute_for_network(net, output=(64, 96)) / (64 * 96)
    9.0
    """

    name = "activations"
    heading = "activations"
    unit = "values"
    better = "lower"
    formula = "Σ over convolutions of channels · height · width of their output"
    source = "Radosavovic et al., Designing Network Design Spaces, https://arxiv.org/abs/2003.13678"

    def compute_for_network(self, net: EncoderDecoder, output: tuple[int, int] = OUTPUT_SIZE) -> float:
        """The number of values for an output of (H, W) pixels. Only shapes are computed."""
        from torch._subclasses.fake_tensor import FakeTensorMode

        # A copy, because operators may cache tensors per size, and these would be fake tensors.
        copied = copy.deepcopy(net).cpu()
        counter = _Counter()
        for module in copied.modules():
            if isinstance(module, Upsampler) and not list(module.parameters()):
                module.register_forward_pre_hook(counter.pause)
                module.register_forward_hook(counter.resume)
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), counter:
            copied(torch.empty(1, net.channels, output[0] // net.scale, output[1] // net.scale))
        return float(counter.values)


class _Counter(TorchDispatchMode):
    """Adds up the output sizes of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0
        self._paused = False

    def pause(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._paused = True

    def resume(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._paused = False

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default and not self._paused:
            self.values += result.numel()
        return result
