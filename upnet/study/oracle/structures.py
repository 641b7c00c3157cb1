"""The linear upsamplers of the oracle, and the linear response of an operator.

Shape legend: s scale; R radius in LR pixels; D = (2R + 1)² taps; P parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters

from upnet.upsample import Bicubic, Bilinear, Nearest, PixelShuffle, ResizeConv, Transposed, Upsampler
from upnet.utils.errors import UserError

RADIUS = 4
"""R of the largest structure, a 9×9 convolution on the LR grid."""

# Rounding errors of interpolations are below this value where their kernel is zero.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class LinearResponse:
    """The kernel of each output phase of an operator, as a linear function of the operator's parameters.

    Away from the borders, output pixel s·n + r is Σ_d K[r, d] · x[n + d], with K = fixed + Σ_j θ_j · columns[j]. This
    holds for every operator that is linear in its parameters θ. The column of a bias, which multiplies no pixel, is 0.

    fixed:   (s², D) float64, the kernels where all parameters are 0.
    columns: (P, s², D) float64, the change of the kernels by each parameter.
    """

    fixed: Tensor
    columns: Tensor

    def kernels(self, parameters: Tensor) -> Tensor:
        """The kernels K, (s², D), for parameters (P,)."""
        return self.fixed + torch.tensordot(parameters, self.columns, dims=1)

    def tap_counts(self) -> tuple[int, int]:
        """The number of LR pixels that contribute to an output pixel: the smallest and the largest over phases."""
        counts = ((self.columns.abs().sum(dim=0) + self.fixed.abs()) > _ROUNDING).sum(dim=1)
        return int(counts.min()), int(counts.max())

    def weight_count(self) -> int:
        """The number of parameters without biases."""
        return int((self.columns != 0).any(dim=2).any(dim=1).sum())

    def blocks(self) -> list[tuple[list[int], list[int]]]:
        """Independent blocks of the least-squares problem: indices of phases, and of the parameters that they share.

        Each weight of a pixel shuffle affects one phase, which gives s² blocks. Each weight of a convolution after an
        interpolation affects all phases, which gives one block.
        """
        blocks: list[tuple[list[int], set[int]]] = []
        for phase, is_affected_by in enumerate((self.columns != 0).any(dim=2).T):
            phases, parameters = [phase], set(is_affected_by.nonzero()[:, 0].tolist())
            overlapping = [block for block in blocks if block[1] & parameters]
            disjoint = [block for block in blocks if not block[1] & parameters]
            for other_phases, other_parameters in overlapping:
                phases, parameters = other_phases + phases, parameters | other_parameters
            blocks = [*disjoint, (phases, parameters)]
        return [(sorted(phases), sorted(parameters)) for phases, parameters in blocks if parameters]


@torch.no_grad()
def measure_response(operator: Upsampler, radius: int = RADIUS) -> LinearResponse:
    """The response of an operator of one channel in float64. Its parameters are set one by one, and restored.

    Raises UserError where an output pixel depends on LR pixels more than `radius` away.

    >>> response = measure_response(Bilinear(1, 2))
    >>> response.tap_counts(), response.weight_count(), response.fixed.shape
    ((4, 4), 0, torch.Size([4, 81]))
    """
    parameters = list(operator.parameters())
    original = parameters_to_vector(parameters) if parameters else torch.zeros(0, dtype=torch.float64)
    unit_vectors = torch.eye(len(original), dtype=torch.float64)
    fixed = _phase_kernels(operator, torch.zeros_like(original), radius)
    columns = [_phase_kernels(operator, unit, radius) - fixed for unit in unit_vectors]
    _set_parameters(operator, original)
    return LinearResponse(fixed, torch.stack(columns) if columns else fixed.new_zeros(0, *fixed.shape))


def _phase_kernels(operator: Upsampler, parameters: Tensor, radius: int) -> Tensor:
    """The kernels (s², D) of an operator with these parameters (P,)."""
    _set_parameters(operator, parameters)
    # Two LR pixels are added around the radius: the response must be zero in the inner one, and the outer one is
    # cropped because of border effects.
    centre = radius + 2
    inputs = torch.zeros(2, 1, 2 * centre + 1, 2 * centre + 1, dtype=torch.float64)
    inputs[1, 0, centre, centre] = 1
    zero, impulse = F.pixel_unshuffle(operator.upsample_full(inputs), int(operator.scale))[..., 1:-1, 1:-1]
    # The difference removes biases. For the output pixel at n the impulse is at d = centre − n, so both axes are
    # reversed.
    kernels = (impulse - zero).flip(1, 2)
    inner = kernels[:, 1:-1, 1:-1].flatten(1).clone()
    kernels[:, 1:-1, 1:-1] = 0
    if kernels.abs().max() > _ROUNDING:
        raise UserError(
            f"{type(operator).__name__} reads LR pixels more than {radius} away from the output pixel",
            cure="Take a smaller kernel",
        )
    return inner


def _set_parameters(operator: Upsampler, parameters: Tensor) -> None:
    if len(parameters):
        vector_to_parameters(parameters, operator.parameters())


OperatorFactory = Callable[..., Upsampler]
"""A function of `channels` and `scale` that returns an operator."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A linear upsampler for any integer scale.

    name:  in tables, where s is the scale.
    build: function of `channels` and `scale`; its initial weights are arbitrary.
    """

    name: str
    build: OperatorFactory

    def build_operator(self, scale: int) -> Upsampler:
        """The operator of one channel in float64."""
        return self.build(channels=1, scale=scale).double()


def _transposed(kernel_size: Callable[[int], int]) -> OperatorFactory:
    """kernel_size: a function of the scale."""

    def build(channels: int, scale: int) -> Upsampler:
        return Transposed(channels, scale, kernel_size=kernel_size(scale))

    return build


def _pixel_shuffle(kernel_size: int) -> OperatorFactory:
    return partial(PixelShuffle, kernel_size=kernel_size)


def _resize_conv(fixed: OperatorFactory, kernel_size: int) -> OperatorFactory:
    return partial(ResizeConv, fixed=fixed, kernel_size=kernel_size)


STRUCTURES = (
    Structure("nearest", Nearest),
    Structure("bilinear", Bilinear),
    Structure("bicubic, a = −0.5", Bicubic),
    Structure("bicubic, a = −0.75", partial(Bicubic, a=-0.75)),
    Structure("transposed, k = s", _transposed(lambda s: s)),
    Structure("conv1 + pixel shuffle", _pixel_shuffle(1)),
    Structure("transposed, k = ⌈3s/2⌉", _transposed(lambda s: s + (s + 1) // 2)),
    Structure("transposed, k = 2s", _transposed(lambda s: 2 * s)),
    Structure("nearest + conv3", _resize_conv(Nearest, 3)),
    Structure("nearest + conv5", _resize_conv(Nearest, 5)),
    Structure("bilinear + conv3", _resize_conv(Bilinear, 3)),
    Structure("bicubic, a = −0.5, + conv3", _resize_conv(Bicubic, 3)),
    Structure("transposed, k = 3s", _transposed(lambda s: 3 * s)),
    Structure("conv3 + pixel shuffle", _pixel_shuffle(3)),
    Structure("conv5 + pixel shuffle", _pixel_shuffle(5)),
    Structure("conv9 + pixel shuffle", _pixel_shuffle(9)),
)
"""In the order of the table: fixed interpolations, then learned structures by increasing support."""
