import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from upnet.site import Site
from upnet.upsample import MaxUnpool

SIZES = [(12, 12), (13, 11), (7, 12), (1, 5), (5, 1)]


def pooled(image, scale):
    return F.max_pool2d(image, scale, ceil_mode=True, return_indices=True)


@pytest.fixture(params=[False, True], ids=["fast", "deterministic"])
def either_mode(request, deterministic):
    torch.use_deterministic_algorithms(request.param)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_are_written_to_their_positions_and_zeros_elsewhere(scale, size, either_mode):
    x, indices = pooled(torch.randn(2, 3, *size, dtype=torch.float64), scale)
    expected = torch.zeros(2, 3, size[0] * size[1], dtype=torch.float64)
    for n, c in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        expected[n, c, indices[n, c].flatten()] = x[n, c].flatten()
    out = MaxUnpool(3, scale)(x, Site(size, indices))
    assert torch.equal(out, expected.view(2, 3, *size))


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_max_unpool2d_with_output_size(scale, size, deterministic):
    x, indices = pooled(torch.randn(2, 3, *size, dtype=torch.float64), scale)
    out = MaxUnpool(3, scale)(x, Site(size, indices))
    torch.use_deterministic_algorithms(False)
    assert torch.equal(out, F.max_unpool2d(x, indices, scale, output_size=size))


@given(scale=st.integers(1, 4), height=st.integers(1, 17), width=st.integers(1, 17), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=150)
def test_pooling_after_unpooling_returns_a_non_negative_input(scale, height, width, seed):
    torch.manual_seed(seed)
    x, indices = pooled(torch.rand(2, 2, height, width), scale)
    out = MaxUnpool(2, scale)(x, Site((height, width), indices))
    again, where = pooled(out, scale)
    assert torch.equal(again, x)
    assert torch.equal(out.flatten(2).gather(2, where.flatten(2)), x.flatten(2))


@pytest.mark.parametrize("size", [(7, 7), (6, 7)], ids=str)
def test_unpooled_maxima_are_at_their_positions_in_the_image(size):
    """An odd width shifts every flattened position that is read with a wrong width: here each is looked up."""
    image = torch.randn(1, 4, *size)
    x, indices = pooled(image, 2)
    out = MaxUnpool(4, 2)(x, Site(size, indices))
    assert torch.equal(out[out != 0], image[out != 0])
    assert int((out != 0).sum()) == x.numel()


def test_ties_go_to_the_first_position_of_the_window():
    x, indices = pooled(torch.ones(1, 1, 5, 5), 2)
    out = MaxUnpool(1, 2)(x, Site((5, 5), indices))
    expected = torch.zeros(5, 5)
    expected[::2, ::2] = 1
    assert torch.equal(out[0, 0], expected)


def test_gradient_is_read_at_the_positions(either_mode):
    x, indices = pooled(torch.randn(2, 3, 9, 8), 2)
    x.requires_grad_()
    upstream = torch.randn(2, 3, 9, 8)
    (gradient,) = torch.autograd.grad(MaxUnpool(3, 2)(x, Site((9, 8), indices)), x, upstream)
    assert torch.equal(gradient, upstream.flatten(2).gather(2, indices.flatten(2)).view_as(x))


@pytest.mark.parametrize("channels_last", [(False, True), (True, False), (True, True)], ids=str)
def test_any_memory_format_of_input_indices_and_gradient_works(channels_last, either_mode):
    formats = [torch.channels_last if last else torch.contiguous_format for last in channels_last]
    x, indices = pooled(torch.randn(2, 3, 9, 8), 2)
    upstream = torch.randn(2, 3, 9, 8)
    expected = torch.autograd.grad(MaxUnpool(3, 2)(x.requires_grad_(), Site((9, 8), indices)), x, upstream)
    x = x.detach().to(memory_format=formats[0]).requires_grad_()
    out = MaxUnpool(3, 2)(x, Site((9, 8), indices.to(memory_format=formats[1])))
    assert torch.equal(torch.autograd.grad(out, x, upstream.to(memory_format=formats[1]))[0], expected[0])


def test_second_derivatives_exist(either_mode):
    x, indices = pooled(torch.randn(1, 2, 5, 4, dtype=torch.float64), 2)
    site = Site((5, 4), indices)
    assert torch.autograd.gradgradcheck(lambda x: MaxUnpool(2, 2)(x, site).square(), x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_chunked_unpooling_equals_torch(dtype, monkeypatch):
    monkeypatch.setattr("upnet.upsample.max_unpool.CHUNK", 200)  # two of the 15 planes of 9 × 8, and one at the end
    x, indices = pooled(torch.randn(3, 5, 9, 8).to(dtype), 2)
    upstream = torch.randn(3, 5, 9, 8).to(dtype)
    results = []
    for unpool in (
        lambda x: MaxUnpool(5, 2)(x, Site((9, 8), indices)),
        lambda x: F.max_unpool2d(x, indices, [2, 2], output_size=(9, 8)),
    ):
        out = unpool(x.requires_grad_())
        results.append((out, *torch.autograd.grad(out, x, upstream)))
    assert all(torch.equal(ours, torchs) for ours, torchs in zip(*results, strict=True))


def test_infinite_values_do_not_spread(either_mode):
    x = torch.full((1, 1, 1, 1), float("inf"))
    out = MaxUnpool(1, 2)(x, Site((2, 2), torch.tensor([[[[1]]]])))
    assert out.flatten().tolist() == [0, float("inf"), 0, 0]


def test_indices_of_another_number_of_channels_are_rejected():
    x, indices = pooled(torch.randn(1, 4, 8, 8), 2)
    with pytest.raises(ValueError, match="one index for each value"):
        MaxUnpool(4, 2)(x, Site((8, 8), indices[:, :2]))
