"""An operator is a normal module: hooks, pruning and parametrisations of its parts, and torch.func, work on it."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from upnet.upsample import DecomposedTransposed, PixelShuffle, Transposed, Upsampler

FORMATS = [torch.contiguous_format, torch.channels_last]
each_format = pytest.mark.parametrize("memory_format", FORMATS, ids=str)
each_width = pytest.mark.parametrize("channels", [3, 12])


def build(factory, channels: int, scale: float = 2) -> Upsampler:
    torch.manual_seed(0)
    return factory(channels=channels, scale=scale).double()


def convolutions(operator: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [part for part in operator.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]


def erase(module: nn.Module, inputs: object, output: Any) -> Tensor:
    return torch.zeros_like(output)


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


@pytest.mark.covering
@each_format
@each_width
def test_forward_and_backward_hooks_fire_and_can_replace_outputs(factory, channels, memory_format, visit):
    operator = build(factory, channels)
    x, site = visit(operator, (8, 6))
    x = x.to(memory_format=memory_format).requires_grad_()
    seen: list[nn.Module] = []
    parts = [part for part in operator.modules() if not isinstance(part, Upsampler)]
    for part in parts:
        part.register_forward_hook(lambda module, inputs, output: seen.append(module))
        part.register_full_backward_hook(lambda module, inputs, outputs: seen.append(module))
    operator(x, site).square().sum().backward()
    assert {id(part) for part in seen} == {id(part) for part in parts}
    for part in convolutions(operator)[-1:]:
        part.register_forward_hook(erase)
        assert not operator(x, site).equal(build(factory, channels)(x, site))


@pytest.mark.rotating
@each_format
@each_width
def test_hooks_do_not_change_the_output(factory, channels, memory_format, visit):
    operator, watched = build(factory, channels), build(factory, channels)
    x, site = visit(operator, (8, 6))
    x = x.to(memory_format=memory_format)
    for part in watched.modules():
        part.register_forward_hook(lambda module, inputs, output: None)
    assert torch.equal(operator(x, site), watched(x, site))


@pytest.mark.covering
@each_format
@each_width
def test_pruned_and_parametrized_weights_are_used(factory, channels, memory_format, visit):
    operator = build(factory, channels)
    x, site = visit(operator, (8, 6))
    x = x.to(memory_format=memory_format)
    pruned, halved, expected = (copy.deepcopy(operator) for _ in range(3))
    for part, other, plain in zip(*map(convolutions, (pruned, halved, expected)), strict=True):
        prune.l1_unstructured(part, "weight", amount=0.5)
        parametrize.register_parametrization(other, "weight", Half())
        with torch.no_grad():
            plain.weight.copy_(part.weight)
    torch.testing.assert_close(pruned(x, site), expected(x, site), rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        for plain, original in zip(convolutions(expected), convolutions(operator), strict=True):
            plain.weight.copy_(original.weight / 2)
    torch.testing.assert_close(halved(x, site), expected(x, site), rtol=1e-12, atol=1e-12)


@pytest.mark.covering
@each_format
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels", [3, 16])
def test_training_and_inference_are_bitwise_equal(factory, channels, dtype, memory_format, visit):
    operator = build(factory, channels).to(dtype).to(memory_format=memory_format)
    x, site = visit(operator, (16, 12))
    x = x.to(dtype).to(memory_format=memory_format)
    trained = operator.train()(x.clone(memory_format=torch.preserve_format).requires_grad_(), site)
    with torch.no_grad():
        watched = operator.eval()(x, site)
    with torch.inference_mode():
        inferred = operator(x, site)
    assert torch.equal(trained, watched)
    assert torch.equal(trained, inferred)


@each_format
@pytest.mark.parametrize("kernel_size", [None, 2, 4])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("make", [Transposed, DecomposedTransposed])
def test_transposed_convolutions_are_bitwise_equal_in_inference(make, channels, kernel_size, memory_format):
    operator = make(channels, 2, kernel_size=kernel_size).to(memory_format=memory_format)
    x = torch.randn(2, channels, 16, 12).to(memory_format=memory_format)
    trained = operator.upsample_full(x)
    with torch.no_grad():
        assert torch.equal(trained, operator.upsample_full(x))


@pytest.mark.parametrize("make", [Transposed, DecomposedTransposed, PixelShuffle])
def test_state_dict_keys_match_torch_layers(make):
    keys = (
        {"conv.weight", "conv.bias"}
        if make is not DecomposedTransposed
        else {"rows.weight", "cols.weight", "cols.bias"}
    )
    assert set(make(4, 2).state_dict()) == keys
