"""The cost of a network: its number of parameters and its multiply-adds (MACs)."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from upnet.models import EncoderDecoder
from upnet.upsample import Upsampler

OUTPUT_SIZE = (720, 1280)
"""(H, W) of the output image that publications count multiply-adds for."""


def parameters(net: nn.Module) -> int:
    """The number of parameters.

    >>> parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in net.parameters())


def multiply_adds(net: EncoderDecoder, output_size: tuple[int, int] = OUTPUT_SIZE) -> int:
    """The multiply-adds for one output image. Shapes are propagated and nothing is computed.

    output_size: (H, W) of the output image in pixels.

    A convolution counts on the grid where it is computed: a transposed one on its input grid, not on its output grid
    as in some publications. An upsampler that declares its cost, `Upsampler.multiply_adds`, counts as declared: an
    interpolation counts its taps, however it is computed.

    >>> from functools import partial
    >>> from upnet.encoders import ConvStack
    >>> net = EncoderDecoder(2, 1, partial(ConvStack, layers=[1], kernel_sizes=[1]), None, None, residual="none")
    >>> multiply_adds(net, (10, 10)) - 100 * (1 * 1 + 3 * 3)  # what remains is the bicubic interpolation of the input
    600
    """
    # A copy, since upsamplers may cache constants per size, and the cached ones would be fake tensors.
    fake_net = copy.deepcopy(net).cpu()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        lr = torch.empty(1, net.channels, *(side // net.scale for side in output_size))
        declared: dict[str, int] = {}
        handles = [
            module.register_forward_hook(_add_declared_cost(declared, name))
            for name, module in fake_net.named_modules()
            if isinstance(module, Upsampler)
        ]
        counter = FlopCounterMode(display=False)
        with counter:
            fake_net(lr)
        for handle in handles:
            handle.remove()
    counted = {name: sum(by_operation.values()) // 2 for name, by_operation in counter.get_flop_counts().items()}
    root = type(net).__name__
    total = counted["Global"]
    for name, cost in declared.items():
        total += cost - counted.get(f"{root}.{name}", 0) + counted.get(f"{root}.{name}.projection", 0)
    return total


def _add_declared_cost(declared: dict[str, int], name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Upsampler)
        cost = module.multiply_adds(inputs[0].shape[-2], inputs[0].shape[-1])
        if cost is not None:
            declared[name] = declared.get(name, 0) + cost

    return hook
