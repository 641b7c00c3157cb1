"""Example operators, the layout of numbers, and the three views of the transposed convolution."""

import pytest
import torch

from upnet.gallery.example import build_example, example_site, public_operators, set_example_weights, with_small_kernel
from upnet.gallery.number_grid import arrow, format_matrix, side_by_side
from upnet.upsample import MaxUnpool, Nearest, PixelShuffle, Transposed
from upnet.upsample.stages import TitledMatrix
from upnet.upsample.transposed_views import interleaved_phases, phase_kernel

KERNELS = [(1, 3), (2, 2), (2, 3), (2, 4), (2, 5), (2, 6), (3, 3), (3, 4), (3, 7), (4, 5), (4, 12)]


@pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_interleaved_phases_equal_the_output_of_the_operator(scale, kernel_size, size):
    operator = Transposed(1, scale, kernel_size=kernel_size).double()
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    torch.testing.assert_close(interleaved_phases(operator, x), operator.upsample_full(x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)
def test_phase_kernels_contain_every_weight_once(scale, kernel_size):
    operator = Transposed(1, scale, kernel_size=kernel_size)
    set_example_weights(operator)
    kernels = [phase_kernel(operator, r, c)[0] for r in range(scale) for c in range(scale)]
    weights = torch.cat([kernel.flatten() for kernel in kernels]).sort().values
    assert weights.tolist() == list(range(1, kernel_size**2 + 1))


@pytest.mark.parametrize(("scale", "kernel_size"), KERNELS)
def test_every_view_computes_the_output(scale, kernel_size):
    operator = Transposed(1, scale, kernel_size=kernel_size).double()
    x = torch.randn(1, 1, 2, 2, dtype=torch.float64)
    views = operator.views(x)
    assert len(views) == 3
    for view in views:
        torch.testing.assert_close(view.output, operator.upsample_full(x), rtol=1e-9, atol=1e-9)
        assert torch.equal(view.stages[-1].matrices[-1].values.flatten(), view.output.flatten())


@pytest.mark.parametrize("scale", [2, 3])
def test_example_image_of_max_unpooling_is_pooled_to_x(scale):
    x = torch.tensor([[-3.0, 0.0, 2.0], [1.5, 7.0, 7.0]], dtype=torch.float64)[None, None]
    example = example_site(MaxUnpool(1, scale), x)
    assert example.image is not None
    pooled, indices = torch.nn.functional.max_pool2d(example.image, scale, return_indices=True)
    assert torch.equal(pooled, x)
    assert example.site.indices is not None
    assert torch.equal(indices, example.site.indices)


def test_every_public_operator_has_a_summary_of_one_sentence():
    for operator in public_operators().values():
        summary = build_example(operator, 2, {}).summary
        assert summary.endswith(".")
        assert 30 < len(summary) < 160


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_example_kernel_is_the_smallest_that_fits(scale):
    assert with_small_kernel(Transposed, scale, {}) == {"kernel_size": max(3, scale + (scale + 1) % 2)}
    assert with_small_kernel(PixelShuffle, scale, {}) == {"kernel_size": 3}
    assert with_small_kernel(Nearest, scale, {}) == {}
    assert with_small_kernel(Transposed, scale, {"kernel_size": 9}) == {"kernel_size": 9}


def test_numbers_are_aligned_at_the_decimal_point_with_as_few_decimals_as_needed():
    def lines(*rows: list[float]) -> list[str]:
        return [line.plain for line in format_matrix(TitledMatrix("", torch.tensor(rows))).lines]

    assert lines([1.25, 0.0], [-10.5, 3.0]) == ["  1.25   ·   ", "-10.50   3.00"]
    assert lines([1.0, 20.0]) == [" 1 20"]
    assert lines([1 / 3]) == ["0.3333"]


def test_groups_wider_than_the_line_start_a_new_line():
    left, right = (format_matrix(TitledMatrix(name, torch.full((2, 2), 7.0))) for name in ("left", "right"))
    assert [line.plain for line in side_by_side([[left], [arrow(2), right]], 40)] == [
        "  left       right",
        "  7 7    →   7 7",
        "  7 7        7 7",
    ]
    assert [line.plain for line in side_by_side([[left], [arrow(2), right]], 16)] == [
        "  left",
        "  7 7",
        "  7 7",
        "",
        "      right",
        "  →   7 7",
        "      7 7",
    ]
    assert [line.plain for line in side_by_side([[left, right]], 12)] == [
        "  left",
        "  7 7",
        "  7 7",
        "",
        "  right",
        "  7 7",
        "  7 7",
    ]
