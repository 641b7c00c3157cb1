"""How x becomes y, told for operators with something in between."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from upnet.gallery.example import example_site, set_counting_weights
from upnet.gallery.number_grid import Block
from upnet.gallery.text import trace
from upnet.upsample import CARAFE, BilinearAdditive, DecomposedTransposed, DySample, Upsampler

X = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)[None, None]


def told(operator: Upsampler) -> tuple[str, dict[str, Tensor]]:
    """The remark on the weights, and the numbers under each title."""
    operator = operator.double()
    remark = set_counting_weights(operator)
    with torch.no_grad():
        blocks = [block for row in trace(operator, X, example_site(operator, X)) for block in row]
    return remark, {block.title: numbers(block) for block in blocks if block.title}


def numbers(block: Block) -> Tensor:
    rows = [[float(cell) for cell in line.plain.replace("·", "0").split()] for line in block.lines]
    return torch.tensor(rows, dtype=torch.float64)


def close(shown: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(shown, expected, rtol=0, atol=5.1e-5)


def test_decomposed_shows_the_rows_pass_between_its_two_kernels():
    _, shown = told(DecomposedTransposed(1, 2, kernel_size=3))
    close(shown["rows(x)"], torch.tensor([[2.0, 4], [6, 10], [6, 8], [9, 12]]).double())
    close(shown["weight[1]"], torch.tensor([[1.0, 2, 3]]).double())


def test_bilinear_additive_shows_what_is_convolved():
    _, shown = told(BilinearAdditive(1, 2))
    close(shown["fixed(x)"], F.interpolate(X, scale_factor=2, mode="bilinear")[0, 0])


def test_dysample_shows_the_places_its_output_is_taken_from():
    remark, shown = told(DySample(1, 2))
    assert "0.1, 0.2, 0.3" in remark
    places = [(torch.arange(4, dtype=torch.float64) + 0.5) / 2 - 0.5] * 2
    rows = (shown["shifts, down"] + places[0][:, None]).clamp(0, 1)
    cols = (shown["shifts, right"] + places[1]).clamp(0, 1)
    close(shown["y"], 1 + cols + 2 * rows)  # what the four numbers are at every place


def test_carafe_shows_a_window_of_equal_weights_and_says_so():
    remark, shown = told(CARAFE(1, 2))
    assert "zero here" in remark
    close(shown["weights, of every window"], torch.full((5, 5), 0.04, dtype=torch.float64))
    close(shown["y"], torch.full((4, 4), 0.4, dtype=torch.float64))


@pytest.mark.parametrize("kind", [DySample, CARAFE, BilinearAdditive, DecomposedTransposed])
def test_the_output_shown_is_the_operators(kind):
    operator = kind(1, 3).double()
    set_counting_weights(operator)
    with torch.no_grad():
        expected = operator.upsample_full(X)[0, 0]
    _, shown = told(operator)
    close(shown["y"], expected)
