"""The stages from x to y of operators with intermediate results."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.gallery.example import example_site, set_example_weights
from upnet.gallery.number_grid import format_matrix
from upnet.gallery.text import trace
from upnet.upsample import CARAFE, BilinearAdditive, DecomposedTransposed, DySample, Upsampler
from upnet.upsample.stages import TitledMatrix

X = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)[None, None]


def traced(operator: Upsampler) -> tuple[str, dict[str, Tensor]]:
    """The sentence on the weights, and the printed numbers by title."""
    operator = operator.double()
    weights = set_example_weights(operator)
    with torch.no_grad():
        stages = trace(operator, X, example_site(operator, X))
    return weights, {matrix.title: printed(matrix) for stage in stages for matrix in stage.matrices}


def printed(matrix: TitledMatrix) -> Tensor:
    lines = format_matrix(matrix).lines
    rows = [[float(cell) for cell in line.plain.replace("·", "0").split()] for line in lines]
    return torch.tensor(rows, dtype=torch.float64)


def assert_printed_equal(values: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(values, expected, rtol=0, atol=5.1e-5)


def test_decomposed_transposed_prints_the_rows_between_its_two_kernels():
    _, printed_values = traced(DecomposedTransposed(1, 2, kernel_size=3))
    assert_printed_equal(printed_values["rows(x)"], torch.tensor([[2.0, 4], [6, 10], [6, 8], [9, 12]]).double())
    assert_printed_equal(printed_values["cols.weight"], torch.tensor([[1.0, 2, 3]]).double())


def test_bilinear_additive_prints_the_input_of_its_convolution():
    _, printed_values = traced(BilinearAdditive(1, 2))
    assert_printed_equal(printed_values["fixed(x)"], F.interpolate(X, scale_factor=2, mode="bilinear")[0, 0])


def test_dysample_prints_its_sampling_shifts():
    weights, printed_values = traced(DySample(1, 2))
    assert "0.1, 0.2, 0.3" in weights
    positions = [(torch.arange(4, dtype=torch.float64) + 0.5) / 2 - 0.5] * 2
    rows = (printed_values["shifts down"] + positions[0][:, None]).clamp(0, 1)
    cols = (printed_values["shifts right"] + positions[1]).clamp(0, 1)
    assert_printed_equal(printed_values["y"], 1 + cols + 2 * rows)  # x is linear in row and column


def test_carafe_prints_and_describes_equal_weights():
    weights, printed_values = traced(CARAFE(1, 2))
    assert "The weights are 0 here" in weights
    assert_printed_equal(printed_values["weights of a window"], torch.full((5, 5), 0.04, dtype=torch.float64))
    assert_printed_equal(printed_values["y"], torch.full((4, 4), 0.4, dtype=torch.float64))


@pytest.mark.parametrize("kind", [DySample, CARAFE, BilinearAdditive, DecomposedTransposed])
def test_printed_output_equals_that_of_the_operator(kind):
    operator = kind(1, 3).double()
    set_example_weights(operator)
    with torch.no_grad():
        expected = operator.upsample_full(X)[0, 0]
    _, printed_values = traced(operator)
    assert_printed_equal(printed_values["y"], expected)
