"""What an operator shows of its computation in `upnet operators`: weights, intermediate results, equivalent views."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn


class TitledMatrix(NamedTuple):
    """A matrix with a title.

    values: (rows, cols).
    groups: numbers of rows and columns after which a gap is printed; 0 for no gaps.
    """

    title: str
    values: Tensor
    groups: tuple[int, int] = (0, 0)


class Stage(NamedTuple):
    """One stage of a computation: inputs and weights, or what is computed from the stages before.

    computed: whether an arrow leads to the matrices; False for inputs and weights.
    """

    matrices: Sequence[TitledMatrix]
    computed: bool = False


class View(NamedTuple):
    """Another computation of an operator's output.

    output: its result, (1, 1, H, W).
    """

    heading: str
    stages: Sequence[Stage]
    output: Tensor
    remark: str


class ExampleWeights(NamedTuple):
    """Distinct weights, so that the output shows where each weight contributes.

    The weights are step, 2·step, 3·step, … in memory order; biases are 0.

    reason: why the step is not 1, as a sentence.
    """

    step: float = 1
    reason: str = ""


def weight_stages(module: nn.Module, title: str = "weight") -> list[Stage]:
    """One stage with the kernels of all convolutions in the module; no stage where there are none.

    >>> [matrix.title for matrix in weight_stages(nn.Conv2d(1, 2, 3))[0].matrices]
    ['weight[0]', 'weight[1]']
    """
    kernels = [kernel for weight in module.parameters() if weight.dim() == 4 for kernel in weight.flatten(0, 1)]
    return [Stage(titled_matrices(title, kernels))] if kernels else []


def titled_matrices(title: str, matrices: Sequence[Tensor]) -> list[TitledMatrix]:
    """Matrices (rows, cols) with a common title, numbered where there are several."""
    several = len(matrices) > 1
    return [TitledMatrix(f"{title}[{number}]" if several else title, m) for number, m in enumerate(matrices)]
