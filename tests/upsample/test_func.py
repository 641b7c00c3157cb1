"""torch.func: grad, vmap and jacrev work on every operator, in whatever order they are nested."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vmap

from upnet.site import Site
from upnet.upsample import Upsampler

each_format = pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
each_width = pytest.mark.parametrize("channels", [2, 10])


@pytest.fixture(params=[False, True], ids=["fast", "deterministic"])
def either_mode(request, deterministic):
    torch.use_deterministic_algorithms(request.param)


@pytest.fixture
def case(visit):
    """An operator in float64, an input, its site, and a loss whose gradient differs from pixel to pixel."""

    def make(factory, channels: int, scale: float, memory_format: torch.memory_format):
        torch.manual_seed(0)
        operator: Upsampler = factory(channels=channels, scale=scale).double()
        x, site = visit(operator, (6, 5))
        x = x.to(memory_format=memory_format)

        def loss(x: Tensor, indices: Tensor | None = None, parameters: dict[str, Tensor] | None = None) -> Tensor:
            here = Site(site.size, indices=site.indices if indices is None else indices, skip=site.skip)
            return functional_call(operator, parameters or {}, (x, here)).pow(3).sum()

        return operator, x, site, loss

    return make


def looped(function, *inputs: Tensor) -> Tensor:
    """What vmap over the first axis has to give."""
    return torch.stack([function(*sample) for sample in zip(*inputs, strict=True)])


def same(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.covering
@each_format
@each_width
def test_grad_equals_autograd_for_inputs_and_weights(factory, channels, memory_format, case):
    operator, x, _, loss = case(factory, channels, 2, memory_format)
    weights = dict(operator.named_parameters())
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    expected = torch.autograd.grad(loss(leaf, parameters=weights), [leaf, *weights.values()])
    into_x, into_weights = grad(lambda x, weights: loss(x, parameters=weights), argnums=(0, 1))(x, weights)
    for ours, expected_gradient in zip((into_x, *into_weights.values()), expected, strict=True):
        same(ours, expected_gradient)


@pytest.mark.covering
@pytest.mark.usefixtures("either_mode")
@each_format
@each_width
def test_vmap_of_grad_equals_a_loop(factory, channels, memory_format, case):
    _, x, site, loss = case(factory, channels, 2, memory_format)
    many = torch.stack([x, x.flip(0), 2 * x])
    if site.indices is None:
        same(vmap(grad(loss))(many), looped(grad(loss), many))
        same(vmap(grad(loss), in_dims=2)(many.movedim(0, 2)), looped(grad(loss), many))
    else:
        indices = torch.stack([site.indices, site.indices.flip(0), site.indices])
        same(vmap(grad(loss))(many, indices), looped(grad(loss), many, indices))
        same(vmap(grad(loss), in_dims=(0, None))(many, site.indices), looped(grad(loss), many))
        same(vmap(loss, in_dims=(None, 0))(x, indices), looped(loss, x.expand(3, *x.shape), indices))


@pytest.mark.covering
@each_format
@each_width
def test_per_sample_weight_gradients_equal_a_loop(factory, channels, memory_format, case):
    operator, x, _, loss = case(factory, channels, 2, memory_format)
    weights = dict(operator.named_parameters())
    if not weights:
        pytest.skip("has no weights")
    many = torch.stack([x, x.flip(0)])
    by_weight = grad(lambda weights, x: loss(x, parameters=weights))
    ours = vmap(by_weight, in_dims=(None, 0))(weights, many)
    for number, sample in enumerate(many):
        for name, expected in by_weight(weights, sample).items():
            same(ours[name][number], expected)


@pytest.mark.rotating
@each_format
def test_jacrev_equals_autograd(factory, scale, memory_format, case):
    operator, x, site, _ = case(factory, 2, scale, memory_format)
    x = x[:1]
    site = Site(site.size, indices=None if site.indices is None else site.indices[:1])
    for function in (
        lambda x: operator(x, site).square(),
        lambda x: torch.func.vjp(lambda x: operator(x, site).square(), x)[1](operator(x, site))[0],
    ):
        same(jacrev(function)(x), torch.autograd.functional.jacobian(function, x))


@pytest.mark.rotating
def test_training_works_after_a_functional_transform(factory, scale, case):
    _, x, _, loss = case(factory, 2, scale, torch.contiguous_format)
    ours = grad(loss)(x)
    vmap(grad(loss))(torch.stack([x, x]))
    leaf = x.clone().requires_grad_()
    loss(leaf).backward()
    same(ours, leaf.grad)
