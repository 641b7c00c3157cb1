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


def close(shown: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(shown, expected, rtol=0, atol=5.1e-5)


def test_decomposed_shows_the_rows_pass_between_its_two_kernels():
    _, shown = traced(DecomposedTransposed(1, 2, kernel_size=3))
    close(shown["rows(x)"], torch.tensor([[2.0, 4], [6, 10], [6, 8], [9, 12]]).double())
    close(shown["cols.weight"], torch.tensor([[1.0, 2, 3]]).double())


def test_bilinear_additive_shows_what_is_convolved():
    _, shown = traced(BilinearAdditive(1, 2))
    close(shown["fixed(x)"], F.interpolate(X, scale_factor=2, mode="bilinear")[0, 0])


def test_dysample_shows_the_places_its_output_is_taken_from():
    weights, shown = traced(DySample(1, 2))
    assert "0.1, 0.2, 0.3" in weights
    places = [(torch.arange(4, dtype=torch.float64) + 0.5) / 2 - 0.5] * 2
    rows = (shown["shifts down"] + places[0][:, None]).clamp(0, 1)
    cols = (shown["shifts right"] + places[1]).clamp(0, 1)
    close(shown["y"], 1 + cols + 2 * rows)  # what the four numbers are at every place


def test_carafe_shows_a_window_of_equal_weights_and_says_so():
    weights, shown = traced(CARAFE(1, 2))
    assert "The weights are 0 here" in weights
    close(shown["weights of a window"], torch.full((5, 5), 0.04, dtype=torch.float64))
    close(shown["y"], torch.full((4, 4), 0.4, dtype=torch.float64))


@pytest.mark.parametrize("kind", [DySample, CARAFE, BilinearAdditive, DecomposedTransposed])
def test_the_output_shown_is_the_operators(kind):
    operator = kind(1, 3).double()
    set_example_weights(operator)
    with torch.no_grad():
        expected = operator.upsample_full(X)[0, 0]
    _, shown = traced(operator)
    close(shown["y"], expected)
