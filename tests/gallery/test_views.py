import pytest
import torch

from upnet.gallery.example import example_site, prepare, public_operators, set_counting_weights, with_small_kernel
from upnet.gallery.number_grid import arrow, beside, block
from upnet.gallery.views import interleaved, phase_kernel, views
from upnet.upsample import MaxUnpool, Nearest, PixelShuffle, Transposed

KERNELS = [(1, 3), (2, 2), (2, 3), (2, 4), (2, 5), (2, 6), (3, 3), (3, 4), (3, 7), (4, 5), (4, 12)]


@pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_the_phases_put_together_are_the_operators_output(scale, kernel_size, size):
    operator = Transposed(1, scale, kernel_size=kernel_size).double()
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    torch.testing.assert_close(interleaved(operator, x), operator.upsample_full(x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)
def test_the_phases_share_the_weights_out_among_them(scale, kernel_size):
    operator = Transposed(1, scale, kernel_size=kernel_size)
    set_counting_weights(operator)
    kernels = [phase_kernel(operator, r, c)[0] for r in range(scale) for c in range(scale)]
    shared = torch.cat([kernel.flatten() for kernel in kernels]).sort().values
    assert shared.tolist() == list(range(1, kernel_size**2 + 1))


@pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)
def test_every_view_says_that_it_is_the_output(scale, kernel_size):
    operator = Transposed(1, scale, kernel_size=kernel_size).double()
    shown = views(operator, torch.randn(1, 1, 2, 2, dtype=torch.float64))
    assert len(shown) == 3
    assert all("This is y." in view.remark for view in shown)


@pytest.mark.parametrize("scale", [2, 3])
def test_the_place_of_an_unpooling_pools_to_x(scale):
    x = torch.tensor([[-3.0, 0.0, 2.0], [1.5, 7.0, 7.0]], dtype=torch.float64)[None, None]
    place = example_site(MaxUnpool(1, scale), x)
    assert place.pooled is not None
    pooled, indices = torch.nn.functional.max_pool2d(place.pooled, scale, return_indices=True)
    assert torch.equal(pooled, x)
    assert place.site.indices is not None
    assert torch.equal(indices, place.site.indices)


def test_every_public_operator_says_in_a_sentence_what_it_does():
    for operator in public_operators().values():
        sentence = prepare(operator, 2, {}).sentence
        assert sentence.endswith(".")
        assert 30 < len(sentence) < 160


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_kernel_shown_is_the_smallest_that_fits(scale):
    assert with_small_kernel(Transposed, scale, {}) == {"kernel_size": max(3, scale + (scale + 1) % 2)}
    assert with_small_kernel(PixelShuffle, scale, {}) == {"kernel_size": 3}
    assert with_small_kernel(Nearest, scale, {}) == {}
    assert with_small_kernel(Transposed, scale, {"kernel_size": 9}) == {"kernel_size": 9}


def test_numbers_stand_point_under_point_with_no_more_decimals_than_they_have():
    shown = [line.plain for line in block("", torch.tensor([[1.25, 0.0], [-10.5, 3.0]])).lines]
    assert shown == ["  1.25   ·   ", "-10.50   3.00"]
    assert block("", torch.tensor([[1.0, 20.0]])).lines[0].plain == " 1 20"
    assert block("", torch.tensor([[1 / 3]])).lines[0].plain == "0.3333"


def test_blocks_that_pass_the_width_go_below():
    blocks = [block(name, torch.full((2, 2), 7.0)) for name in ("left", "right")]
    assert [line.plain for line in beside([blocks[0], arrow(2), blocks[1]], 40)] == [
        "  left       right",
        "  7 7    →   7 7",
        "  7 7        7 7",
    ]
    assert [line.plain for line in beside(blocks, 12)] == [
        "  left",
        "  7 7",
        "  7 7",
        "",
        "  right",
        "  7 7",
        "  7 7",
    ]
