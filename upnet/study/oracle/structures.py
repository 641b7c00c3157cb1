"""The linear upsamplers that are compared, each built of the operators in upnet.upsample."""

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
"""R of the widest structure that is fitted, a 9×9 convolution on the LR grid."""

# Interpolations leave dust of this order where their kernel is zero.
_DUST = 1e-12


@dataclass(frozen=True, slots=True)
class LinearResponse:
    """An operator as one small kernel per output phase, which its parameters move about.

    Away from the border, output pixel s·n + r is the sum over taps d of K[r, d] · x[n + d], and K = fixed + Σ θ_j ·
    columns[j] holds for every operator that is linear in its parameters θ. A bias multiplies no pixel: its column is 0.

    fixed:   (s², D) float64, where all parameters are 0.
    columns: (P, s², D) float64, what each parameter adds when it is 1.
    """

    fixed: Tensor
    columns: Tensor

    def kernels(self, parameters: Tensor) -> Tensor:
        """K, (s², D), of (P,) parameters."""
        return self.fixed + torch.tensordot(parameters, self.columns, dims=1)

    def taps(self) -> tuple[int, int]:
        """How many LR pixels an output pixel is made of: in the phase with the fewest, and in that with the most."""
        counts = ((self.columns.abs().sum(dim=0) + self.fixed.abs()) > _DUST).sum(dim=1)
        return int(counts.min()), int(counts.max())

    def weights(self) -> int:
        """How many of the parameters multiply a pixel."""
        return int((self.columns != 0).any(dim=2).any(dim=1).sum())

    def blocks(self) -> list[tuple[list[int], list[int]]]:
        """(phases, parameters) that have nothing to do with those of the other blocks.

        No weight of a pixel shuffle serves two phases: its s² blocks are solved one by one. Behind an interpolation
        every weight serves all of them.
        """
        blocks: list[tuple[list[int], set[int]]] = []
        for phase, live in enumerate((self.columns != 0).any(dim=2).T):
            phases, shared = [phase], set(live.nonzero()[:, 0].tolist())
            apart = [block for block in blocks if not block[1] & shared]
            for others, parameters in (block for block in blocks if block[1] & shared):
                phases, shared = others + phases, shared | parameters
            blocks = [*apart, (phases, shared)]
        return [(sorted(phases), sorted(shared)) for phases, shared in blocks if shared]


@torch.no_grad()
def measure_response(operator: Upsampler, reach: int = RADIUS) -> LinearResponse:
    """The response of an operator of one channel in float64, a parameter at a time; its parameters are kept.

    Raises ValueError where it depends on LR pixels farther than `reach` from the output pixel.
    """
    parameters = list(operator.parameters())
    before = parameters_to_vector(parameters) if parameters else torch.zeros(0, dtype=torch.float64)
    units = torch.eye(len(before), dtype=torch.float64)
    fixed = _response(operator, torch.zeros_like(before), reach)
    columns = [_response(operator, unit, reach) - fixed for unit in units]
    _set(operator, before)
    return LinearResponse(fixed, torch.stack(columns) if columns else fixed.new_zeros(0, *fixed.shape))


def _response(operator: Upsampler, parameters: Tensor, reach: int) -> Tensor:
    """(s², D): the kernels that these parameters make."""
    _set(operator, parameters)
    # Two pixels of margin: in the inner one nothing may be left, and the outer one keeps the border away.
    centre = reach + 2
    pictures = torch.zeros(2, 1, 2 * centre + 1, 2 * centre + 1, dtype=torch.float64)
    pictures[1, 0, centre, centre] = 1
    black, point = F.pixel_unshuffle(operator.upsample_full(pictures), int(operator.scale))[..., 1:-1, 1:-1]
    # What a bias adds is in both. An output pixel at n sees the point at d = centre − n: both axes turn round.
    kernels = (point - black).flip(1, 2)
    inner = kernels[:, 1:-1, 1:-1].flatten(1).clone()
    kernels[:, 1:-1, 1:-1] = 0
    if kernels.abs().max() > _DUST:
        raise UserError(
            f"{type(operator).__name__} reads LR pixels more than {reach} away, beyond the training windows",
            cure="Take a smaller kernel",
        )
    return inner


def _set(operator: Upsampler, parameters: Tensor) -> None:
    if len(parameters):
        vector_to_parameters(parameters, operator.parameters())


Build = Callable[..., Upsampler]


@dataclass(frozen=True, slots=True)
class Structure:
    """A linear upsampler at any whole scale.

    name:  as the table has it; s is the scale.
    build: an operator of channels and scale, its weights as they come.
    """

    name: str
    build: Build

    def operator(self, scale: int) -> Upsampler:
        """One plane in, one plane out, in float64."""
        return self.build(channels=1, scale=scale).double()


def _transposed(kernel: Callable[[int], int]) -> Build:
    def build(channels: int, scale: int) -> Upsampler:
        return Transposed(channels, scale, kernel_size=kernel(scale))

    return build


def _shuffled(kernel: int) -> Build:
    return partial(PixelShuffle, kernel_size=kernel)


def _resized(fixed: Build, kernel: int) -> Build:
    return partial(ResizeConv, fixed=fixed, kernel_size=kernel)


STRUCTURES = (
    Structure("nearest", Nearest),
    Structure("bilinear", Bilinear),
    Structure("bicubic, a = −0.5", Bicubic),
    Structure("bicubic, a = −0.75", partial(Bicubic, a=-0.75)),
    Structure("transposed, k = s", _transposed(lambda s: s)),
    Structure("conv1 + pixel shuffle", _shuffled(1)),
    Structure("transposed, k = ⌈3s/2⌉", _transposed(lambda s: s + (s + 1) // 2)),
    Structure("transposed, k = 2s", _transposed(lambda s: 2 * s)),
    Structure("nearest + conv3", _resized(Nearest, 3)),
    Structure("nearest + conv5", _resized(Nearest, 5)),
    Structure("bilinear + conv3", _resized(Bilinear, 3)),
    Structure("bicubic, a = −0.5, + conv3", _resized(Bicubic, 3)),
    Structure("transposed, k = 3s", _transposed(lambda s: 3 * s)),
    Structure("conv3 + pixel shuffle", _shuffled(3)),
    Structure("conv5 + pixel shuffle", _shuffled(5)),
    Structure("conv9 + pixel shuffle", _shuffled(9)),
)
"""In the order of the table: the fixed interpolations, then by what they can reach."""
