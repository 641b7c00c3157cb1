"""What a network costs: parameters and true multiply-adds."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from upnet.models import EncoderDecoder
from upnet.upsample import Upsampler

# The output size that the field counts multiply-adds for: a 1280 × 720 picture.
OUTPUT = (720, 1280)


def parameters(net: EncoderDecoder) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in net.parameters())


def multiply_adds(net: EncoderDecoder, output: tuple[int, int] = OUTPUT) -> int:
    """True multiply-adds of one output picture of the given size, in pixels, rows first.

    Convolutions count where they happen: a transposed one on its input grid, not on its output grid as some tables
    have it. An operator that declares its own cost is taken at its word, so that an interpolation counts its taps
    however it is computed. Nothing is computed: only shapes are followed.
    """
    # A copy, since operators may keep what they made for a size, and here that would be shapes without values.
    shadow = copy.deepcopy(net).cpu()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        lr = torch.empty(1, net.channels, output[0] // net.scale, output[1] // net.scale)
        declared: dict[str, int] = {}
        handles = [
            module.register_forward_hook(_declare(declared, name))
            for name, module in shadow.named_modules()
            if isinstance(module, Upsampler)
        ]
        counter = FlopCounterMode(display=False)
        with counter:
            shadow(lr)
        for handle in handles:
            handle.remove()
    counts = {name: sum(by_operation.values()) // 2 for name, by_operation in counter.get_flop_counts().items()}
    root = type(net).__name__
    total = counts["Global"]
    for name, cost in declared.items():
        inside = counts.get(f"{root}.{name}", 0) - counts.get(f"{root}.{name}.projection", 0)
        total += cost - inside
    return total


def _declare(declared: dict[str, int], name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, Upsampler)
        cost = module.multiply_adds(inputs[0].shape[-2], inputs[0].shape[-1])
        if cost is not None:
            declared[name] = declared.get(name, 0) + cost

    return hook
