"""Kernels shared by image resizing, baselines and operators, and their different border modes."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from upnet.metrics import BASELINES
from upnet.upsample import Bicubic, Bilinear, Lanczos, Nearest, Upsampler
from upnet.utils import interpolation_kernels as kernels
from upnet.utils.interpolation_kernels import Border, border_indices, interpolation_weights, keys_polynomials

OPERATORS: dict[str, type[Upsampler]] = {
    "nearest": Nearest,
    "bilinear": Bilinear,
    "bicubic": Bicubic,
    "lanczos": Lanczos,
}
INTERPOLATIONS: list[tuple[str, Callable[[Tensor], Tensor], int, Border]] = [
    ("bilinear", kernels.tent, 1, "replicate"),
    ("bicubic", kernels.keys_cubic, 2, "symmetric"),
    ("lanczos", kernels.lanczos, 3, "renormalize"),
]
"""The name of a baseline, its kernel, half its number of weights, and its border mode."""


def image(height: int = 9, width: int = 8) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("name", "kernel", "support", "border"), INTERPOLATIONS)
def test_baseline_equals_its_kernel_with_its_border_mode(name, kernel, support, border, scale) -> None:
    x = image()
    matrices = []
    for length in x.shape[1:]:
        indices, weights = interpolation_weights(kernel, support, length, scale * length, scale, border)
        matrices.append(torch.zeros(scale * length, length, dtype=torch.float64).scatter_add_(1, indices, weights))
    expected = matrices[0] @ x @ matrices[1].T
    if name == "lanczos":  # The weights of the kernel alone do not sum to 1 in its interior.
        expected = expected / (matrices[0].sum(1)[:, None] * matrices[1].sum(1))
    torch.testing.assert_close(BASELINES[name](x, scale), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", OPERATORS)
def test_baselines_and_operators_agree_except_near_borders(name: str, scale: int) -> None:
    x = image()
    baseline, operator = BASELINES[name](x, scale), OPERATORS[name](3, scale).upsample_full(x[None])[0]
    edge = 3 * scale
    inner = (slice(None), slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(baseline[inner], operator[inner], rtol=0, atol=1e-13)
    if name in ("nearest", "bilinear"):
        torch.testing.assert_close(baseline, operator, rtol=0, atol=1e-13)
    else:
        assert not torch.allclose(baseline, operator, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("border", "expected"),
    [("symmetric", [2, 1, 0, 0, 1, 2, 2, 1, 0, 0]), ("replicate", [0, 0, 0, 0, 1, 2, 2, 2, 2, 2])],
)
def test_indices_beyond_the_border_are_mirrored_or_clamped(border: Border, expected: list[int]) -> None:
    assert border_indices(torch.arange(-3, 7), 3, border).tolist() == expected


@pytest.mark.parametrize(
    ("kernel", "support"),
    [(kernels.tent, 1), (kernels.keys_cubic, 2), (partial(kernels.keys_cubic, a=-0.75), 2), (kernels.lagrange, 2)],
)
def test_weights_sum_to_one_and_interpolate(kernel: Callable[[Tensor], Tensor], support: int) -> None:
    offsets = torch.linspace(0, 1, 21, dtype=torch.float64)
    weights = kernel(offsets[:, None] - torch.arange(1 - support, 1 + support))
    torch.testing.assert_close(weights.sum(1), torch.ones(21, dtype=torch.float64), rtol=0, atol=1e-14)
    assert weights[0].tolist() == [float(index == support - 1) for index in range(2 * support)]


def test_integer_form_of_keys_kernel_equals_the_kernel() -> None:
    for n in range(17):
        inner, outer = keys_polynomials(n, 8, -1, 2)
        expected = float(kernels.keys_cubic(torch.tensor(n / 8, dtype=torch.float64)))
        assert (inner if n < 8 else outer if n < 16 else 0) / (2 * 8**3) == pytest.approx(expected, abs=1e-15)
